// SPDX-License-Identifier: MIT
#include "tests/scenario/setup.h"

#include <stdlib.h>

// Values are read by the program's own code for settings, so a scenario says what a file may say.

static void value_add(const struct script *script, const struct settings_option *option, void *base,
                      const char *word)
{
    char why[SETTINGS_WHY_SIZE];
    if (settings_add(option, base, word, strlen(word), why) != 0)
        script_fail(script, "%s.%s: %s", option->section, option->key, why);
}

// set cache.ttl-max 10m
static void set_take(struct stage *stage, struct phrase *phrase)
{
    const char *name = phrase_need(stage->script, phrase, "the setting");
    const char *dot = strchr(name, '.');
    char section[64];
    snprintf(section, sizeof section, "%.*s", dot ? (int)(dot - name) : 0, name);
    const struct settings_option *option =
        dot ? settings_find(section, dot + 1, strlen(dot + 1)) : NULL;
    if (!option || option->in_zone)
        script_fail(stage->script, "there is no setting \"%s\"", name);
    settings_clear(option, &stage->settings);
    do
        value_add(stage->script, option, &stage->settings,
                  phrase_need(stage->script, phrase, "the value"));
    while (phrase_peek(phrase) && settings_is_list(option));
}

// The upstream of that name, whose address gives its place in the alphabet of the scenario.
static const struct upstream_side *upstream_make(struct stage *stage, const char *name)
{
    int found = stage_upstream(stage, name);
    if (found >= 0)
        return &stage->upstreams[found];
    if (*name < 'A' || *name > 'Z')
        script_fail(stage->script, "an upstream's name begins with a capital: not \"%s\"", name);
    if (stage->upstream_count == UPSTREAMS_MAX)
        script_fail(stage->script, "more than %d upstreams", UPSTREAMS_MAX);
    struct upstream_side *upstream = &stage->upstreams[stage->upstream_count++];
    upstream->name = strdup(name);
    upstream->address = (struct address){
        .ip = {198, 51, 100, (uint8_t)stage->upstream_count}, .port = 53, .family = ADDRESS_IPV4};
    return upstream;
}

// zone . ordered A B
static void zone_take(struct stage *stage, struct phrase *phrase)
{
    static const char *const section = "forward";
    struct forward_zone *zone = forward_zone_append(&stage->settings.forward);
    if (!zone)
        script_fail(stage->script, "out of memory");
    value_add(stage->script, settings_find(section, "zone", 4), zone,
              phrase_need(stage->script, phrase, "the zone's name"));
    value_add(stage->script, settings_find(section, "strategy", 8), zone,
              phrase_need(stage->script, phrase, "the strategy"));
    do {
        char text[ADDRESS_TEXT_MAX];
        const struct upstream_side *upstream =
            upstream_make(stage, phrase_need(stage->script, phrase, "an upstream"));
        address_format(&upstream->address, text);
        value_add(stage->script, settings_find(section, "to", 2), zone, text);
    } while (phrase_peek(phrase));
}

// client bert 203.0.113.9 from port 4242
static void client_take(struct stage *stage, struct phrase *phrase)
{
    const char *name = phrase_need(stage->script, phrase, "the client's name");
    const char *word = phrase_need(stage->script, phrase, "its address");
    struct client_side *client = &stage->clients[stage_client(stage, name)];
    if (!address_parse(&client->address, word, strlen(word), client->address.port))
        script_fail(stage->script, "\"%s\" is no address", word);
    if (phrase_take(phrase, "from")) {
        phrase_expect(stage->script, phrase, "port");
        client->address.port =
            (uint16_t)script_number(stage->script, phrase_need(stage->script, phrase, "the port"));
    }
}

// limit pending 8
static void limit_take(struct stage *stage, struct phrase *phrase)
{
    const char *what = phrase_need(stage->script, phrase, "what is limited");
    uint64_t number = script_number(stage->script, phrase_need(stage->script, phrase, "the limit"));
    if (strcmp(what, "pending") == 0 && number > 0 && (number & (number - 1)) == 0)
        stage->pending_max = (uint32_t)number;
    else if (strcmp(what, "ports") == 0 && number > 0 && number <= PORTS_MAX)
        stage->source_ports_max = (uint16_t)number;
    else if (strcmp(what, "connections") == 0 && number <= CONNECTIONS_MAX)
        stage->upstream_connections_max = (uint16_t)number;
    else
        script_fail(stage->script, "limit what? pending (a power of two), ports or connections");
}

static void workers_take(struct stage *stage, struct phrase *phrase)
{
    uint64_t number =
        script_number(stage->script, phrase_need(stage->script, phrase, "the number"));
    if (number < 1 || number > WORKERS_MAX)
        script_fail(stage->script, "1 to %d workers", WORKERS_MAX);
    stage->worker_count = (uint32_t)number;
}

// record www.lan 300 CNAME www.example
static void record_take(struct stage *stage, struct phrase *phrase)
{
    names_record(stage->script, &stage->names, phrase_rest(phrase));
}

// block ads.example
static void block_take(struct stage *stage, struct phrase *phrase)
{
    names_block(stage->script, &stage->names, phrase_rest(phrase));
}

static void watch_take(struct stage *stage, struct phrase *phrase)
{
    phrase_expect(stage->script, phrase, "ports");
    stage->watch_ports = true;
}

bool setup_take(struct stage *stage, struct phrase *phrase)
{
    static const struct {
        const char *word;
        void (*take)(struct stage *stage, struct phrase *phrase);
    } lines[] = {{"set", set_take},         {"zone", zone_take},   {"client", client_take},
                 {"workers", workers_take}, {"limit", limit_take}, {"watch", watch_take},
                 {"record", record_take},   {"block", block_take}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (!phrase_take(phrase, lines[i].word))
            continue;
        if (stage->begun)
            script_fail(stage->script, "\"%s\" has to stand before all that happens",
                        lines[i].word);
        lines[i].take(stage, phrase);
        phrase_end(stage->script, phrase);
        return true;
    }
    return false;
}
