// SPDX-License-Identifier: MIT
#include "io/daemon/list_search.h"

#include "io/edge/bounded.h"

#include <stdlib.h>
#include <string.h>

// All that the thread works on is its own, as it may be left alone with it. There is one at most.

struct list_search {
    struct bounded *bounded;
    unsigned *searchers; // atomic; of a struct daemon, which outlives every thread
    struct name name;
    struct text_list paths;
    struct text_item items[LIST_PATHS_MAX];
    char texts[LIST_PATHS_MAX][sizeof((struct path *)0)->text];
    struct local_line found;
    int error;
};

static void search_run(void *context)
{
    struct list_search *search = context;
    search->error = local_files_search(&search->paths, &search->name, &search->found);
}

static void search_drop(void *context)
{
    list_search_free(context);
}

static void paths_copy(struct list_search *search, const struct text_list *paths)
{
    search->paths = (struct text_list){.items = search->items};
    for (size_t i = 0; i < paths->count && i < LIST_PATHS_MAX; i++) {
        size_t size = strlen(paths->items[i].text) + 1;
        if (size > sizeof search->texts[i])
            continue;
        memcpy(search->texts[i], paths->items[i].text, size);
        search->items[search->paths.count++].text = search->texts[i];
    }
}

struct list_search *list_search_begin(struct daemon *d, const struct name *name)
{
    struct list_search *search = NULL;
    if (__atomic_load_n(&d->searchers, __ATOMIC_ACQUIRE) == 0)
        search = calloc(1, sizeof *search);
    if (!search)
        return NULL;
    search->searchers = &d->searchers;
    search->name = *name;
    paths_copy(search, &settings_of(d)->local_block);
    __atomic_add_fetch(&d->searchers, 1, __ATOMIC_RELAXED);
    search->bounded = bounded_start(search_run, search_drop, search);
    if (search->bounded)
        return search;
    list_search_free(search);
    return NULL;
}

struct list_search *list_search_finish(struct list_search *search, const char **why)
{
    *why = "the lists are not read in time: a file system does not answer, or they are long";
    if (!bounded_finish(search->bounded, LIST_SEARCH_MS, NULL, NULL))
        return NULL;
    *why =
        search->error ? "a list cannot be read any more" : "no line any more: a list has changed";
    return search;
}

struct local_line list_search_found(const struct list_search *search)
{
    return search->found;
}

void list_search_free(struct list_search *search)
{
    __atomic_sub_fetch(search->searchers, 1, __ATOMIC_RELEASE);
    free(search);
}
