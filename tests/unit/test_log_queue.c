// SPDX-License-Identifier: MIT
#include "io/edge/log_queue.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static size_t lost_line(const void *context, uint64_t lost, char *text, size_t size)
{
    (void)context;
    return (size_t)snprintf(text, size, "lost %llu\n", (unsigned long long)lost);
}

static void put(struct log_queue *queue, const char *line)
{
    log_queue_put(queue, line, strlen(line), lost_line, NULL);
}

// Reads a line of the pipe; waits for it.
static void line_read(int fd, char line[static 128])
{
    for (size_t i = 0; i < 127; i++) {
        assert_int_equal(read(fd, line + i, 1), 1);
        line[i + 1] = '\0';
        if (line[i] == '\n')
            return;
    }
    fail_msg("a line without an end: %s", line);
}

static void test_lines_in_order(void **state)
{
    (void)state;
    int fds[2];
    char line[128], wanted[128];
    assert_int_equal(pipe(fds), 0);
    struct log_queue *queue = log_queue_open(fds[1]);
    assert_non_null(queue);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(wanted, sizeof wanted, "line %u of many\n", i);
        put(queue, wanted);
        line_read(fds[0], line);
        assert_string_equal(line, wanted);
    }
    assert_true(log_queue_flush(queue, 1000));
    assert_int_equal(log_queue_lost(queue), 0);
    log_queue_close(queue);
    close(fds[0]);
    close(fds[1]);
}

// A writer never waits; a reader that comes back learns how many lines are missing, and where.
static void test_reader_that_stops(void **state)
{
    (void)state;
    int fds[2];
    char line[128];
    unsigned put_count = 0;
    assert_int_equal(pipe(fds), 0);
    struct log_queue *queue = log_queue_open(fds[1]);
    assert_true(log_queue_has_room(queue, 4096));
    while (log_queue_has_room(queue, 4096)) {
        put(queue, "a line that another thread could repeat later, one of very many\n");
        put_count++;
    }
    assert_int_equal(log_queue_lost(queue), 0); // the reserve is left
    while (log_queue_lost(queue) < 1000) {
        put(queue, "an urgent line\n");
        put_count++;
    }
    assert_false(log_queue_flush(queue, 50));
    uint64_t lost = log_queue_lost(queue);
    for (uint64_t i = 0; i < put_count - lost; i++) {
        line_read(fds[0], line);
        assert_true(line[0] == 'a');
    }
    assert_true(log_queue_flush(queue, 1000));
    put(queue, "the next\n");
    line_read(fds[0], line);
    assert_string_equal(line, "lost 1000\n");
    line_read(fds[0], line);
    assert_string_equal(line, "the next\n");
    assert_true(log_queue_flush(queue, 1000));
    log_queue_close(queue);
    close(fds[0]);
    close(fds[1]);
}

static void test_descriptor_that_does_not_wait(void **state)
{
    (void)state;
    int fds[2];
    char line[128];
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    struct log_queue *queue = log_queue_open(fds[1]);
    for (unsigned i = 0; i < 5000; i++)
        put(queue, "more than the pipe has room for, so that writing has to come again\n");
    assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
    for (unsigned i = 0; i < 5000; i++)
        line_read(fds[0], line);
    assert_true(log_queue_flush(queue, 1000));
    assert_int_equal(log_queue_lost(queue), 0);
    log_queue_close(queue);
    close(fds[0]);
    close(fds[1]);
}

static void test_reader_that_has_ended(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    struct log_queue *queue = log_queue_open(fds[1]);
    put(queue, "for no reader\n");
    assert_true(log_queue_flush(queue, 1000));
    log_queue_close(queue);
    close(fds[1]);
}

static int pipes_are_no_end(void **state)
{
    (void)state;
    return signal(SIGPIPE, SIG_IGN) == SIG_ERR;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_in_order),
        cmocka_unit_test(test_reader_that_stops),
        cmocka_unit_test(test_descriptor_that_does_not_wait),
        cmocka_unit_test(test_reader_that_has_ended),
    };
    return cmocka_run_group_tests(tests, pipes_are_no_end, NULL);
}
