# SPDX-License-Identifier: MIT
# Completion for bash, made by `ouzel help completion`; do not change it by hand.
_ouzel() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $before in
    --config | --control) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'serve check ctl help version' -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    serve | check)
        mapfile -t COMPREPLY < <(compgen -W '--config --listen --upstream --workers --stats --control' -- "$word") ;;
    ctl)
        mapfile -t COMPREPLY < <(compgen -W '--control --json stats upstreams top explain flush reload upgrade drain snapshot log' -- "$word") ;;
    help)
        mapfile -t COMPREPLY < <(compgen -W 'serve check ctl help version settings sample manual manual-settings completion' -- "$word") ;;
    esac
}
complete -F _ouzel ouzel
