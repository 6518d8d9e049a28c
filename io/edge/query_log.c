// SPDX-License-Identifier: MIT
#include "io/edge/query_log.h"

#include "core/wire/text.h"
#include "io/edge/dnstap.h"
#include "io/engine/engine_answer_log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Between two looks at what was told: where there was something, and where not. A worker's ring has
// room for what it tells in 10 ms at half a million answers a second.
enum { BUSY_US = 1000, PAUSE_US = 10000 };

struct query_log {
    struct engine *engine;
    const struct log *log;
    pthread_t thread;
    pthread_mutex_t turn; // of the settings below, and of taking
    pthread_cond_t changed;
    bool ends;
    bool lines;
    char path[SETTINGS_TEXT_SIZE]; // of dnstap; "" where it is off
    struct dnstap *dnstap;
};

// --- a line --------------------------------------------------------------------------------------

// The word of a row of ouzel_answers_total: source="cache".
static void source_text(uint8_t source, char text[static 32])
{
    const char *labels = counter_descriptions[source].labels;
    if (sscanf(labels, "source=\"%31[a-z-]", text) != 1)
        snprintf(text, 32, "unknown");
}

// The question of a reply; "-" where it has none.
static void question_text(const uint8_t *reply, size_t len, char name[static NAME_TEXT_SIZE],
                          char type[static TEXT_TYPE_SIZE])
{
    struct name asked = {0};
    snprintf(name, NAME_TEXT_SIZE, "-");
    snprintf(type, TEXT_TYPE_SIZE, "-");
    if (len < MESSAGE_HEADER_LEN + 5 || load_be16(reply + 4) == 0)
        return;
    size_t name_len = name_length(reply + MESSAGE_HEADER_LEN, len - MESSAGE_HEADER_LEN);
    if (name_len == 0 || MESSAGE_HEADER_LEN + name_len + 4 > len)
        return;
    asked.len = (uint8_t)name_len;
    memcpy(asked.bytes, reply + MESSAGE_HEADER_LEN, name_len);
    name_format(&asked, name);
    text_type_write(load_be16(reply + MESSAGE_HEADER_LEN + name_len), type);
}

static void line_write(const struct query_log *q, const struct logged_answer *logged,
                       const struct client *client, const uint8_t *reply, size_t len)
{
    char name[NAME_TEXT_SIZE], type[TEXT_TYPE_SIZE], from[ADDRESS_TEXT_MAX], source[32];
    char us[24], octets[8];
    question_text(reply, len, name, type);
    address_format(&client->from, from);
    source_text(logged->source, source);
    snprintf(us, sizeof us, "%llu", (unsigned long long)(logged->now_us - logged->since_us));
    snprintf(octets, sizeof octets, "%zu", len);
    log_always(q->log, "query",
               (struct log_field[]){{"client", from},
                                    {"transport", transport_traits[client->transport].label},
                                    {"name", name},
                                    {"type", type},
                                    {"rcode", text_rcode(reply[3] & HEADER_RCODE)},
                                    {"source", source},
                                    {"us", us},
                                    {"octets", octets},
                                    {NULL, NULL}});
}

// --- the thread ----------------------------------------------------------------------------------

static bool entry_write(void *context, const struct logged_answer *logged,
                        const struct client *client, const uint8_t *reply, size_t len)
{
    struct query_log *q = context;
    // First what may have to be tried again, so that nothing is written twice.
    if (q->lines && !log_has_room(q->log))
        return false;
    if (q->dnstap && !dnstap_tell(q->dnstap, logged, client, reply, len))
        return false;
    if (q->lines)
        line_write(q, logged, client, reply, len);
    return true;
}

static bool is_on(const struct query_log *q)
{
    return q->lines || q->dnstap;
}

static void *thread_main(void *argument)
{
    struct query_log *q = argument;
    pthread_setname_np(pthread_self(), "query-log");
    pthread_mutex_lock(&q->turn);
    while (!q->ends) {
        if (!is_on(q)) {
            pthread_cond_wait(&q->changed, &q->turn);
            continue;
        }
        bool any = engine_answer_log_read(q->engine, entry_write, q);
        pthread_mutex_unlock(&q->turn);
        usleep(any ? BUSY_US : PAUSE_US);
        pthread_mutex_lock(&q->turn);
    }
    pthread_mutex_unlock(&q->turn);
    return NULL;
}

struct query_log *query_log_open(struct engine *engine, const struct log *log)
{
    struct query_log *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->engine = engine;
    q->log = log;
    pthread_mutex_init(&q->turn, NULL);
    pthread_cond_init(&q->changed, NULL);
    if (pthread_create(&q->thread, NULL, thread_main, q) == 0)
        return q;
    free(q);
    return NULL;
}

// Opens dnstap at another path, or none. 0 or a negative errno.
static int dnstap_change(struct query_log *q, const struct settings *settings,
                         char why[static QUERY_LOG_WHY_SIZE])
{
    const char *path = settings->queries_dnstap.text;
    struct dnstap *next = NULL;
    if (strcmp(path, q->path) == 0)
        return 0;
    if (*path && !(next = dnstap_open(path, settings->server_identity.text, why)))
        return -EINVAL;
    dnstap_close(q->dnstap);
    q->dnstap = next;
    snprintf(q->path, sizeof q->path, "%s", path);
    return 0;
}

int query_log_set(struct query_log *q, const struct settings *settings,
                  char why[static QUERY_LOG_WHY_SIZE])
{
    pthread_mutex_lock(&q->turn);
    int error = dnstap_change(q, settings, why);
    if (error == 0) {
        q->lines = settings->queries_log;
        error = engine_answer_log_set(q->engine, is_on(q) ? (uint32_t)settings->queries_one_in : 0);
        if (error < 0)
            snprintf(why, QUERY_LOG_WHY_SIZE, "queries: no memory");
    }
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->turn);
    return error;
}

void query_log_close(struct query_log *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->turn);
    q->ends = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->turn);
    pthread_join(q->thread, NULL);
    if (is_on(q))
        (void)engine_answer_log_read(q->engine, entry_write, q);
    dnstap_close(q->dnstap);
    pthread_mutex_destroy(&q->turn);
    pthread_cond_destroy(&q->changed);
    free(q);
}
