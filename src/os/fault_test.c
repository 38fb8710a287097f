#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Each case runs in a child, because the environment is read once. */
static int
t_run(const char *environment, void (*body)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)setenv("TAEL_FAULT", environment, 1);
        (void)close(2);
        body();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
t_expect(bool condition)
{
    if (!condition) {
        _exit(1);
    }
}

static void
t_three_hits(void)
{
    t_expect(!os_fault_hit("a"));
    t_expect(!os_fault_hit("a"));
    t_expect(!os_fault_hit("a"));
}

static void
t_second_fails(void)
{
    t_expect(!os_fault_hit("a"));
    t_expect(os_fault_hit("a"));
    t_expect(!os_fault_hit("a"));
    t_expect(os_fault_hit("b"));
    t_expect(os_fault_hit("b"));
}

static void
t_waits(void)
{
    struct timespec before, after;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    t_expect(!os_fault_hit("slow"));
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t waited_ms =
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    t_expect(waited_ms >= 19);
}

static void
unarmed_points_do_nothing(void **state)
{
    (void)state;
    assert_int_equal(t_run("", t_three_hits), 0);
    assert_int_equal(t_run("other:crash", t_three_hits), 0);
}

static void
errors_are_counted(void **state)
{
    (void)state;
    assert_int_equal(t_run("a@2:error,b:error", t_second_fails), 0);
}

static void
crashes_kill(void **state)
{
    (void)state;
    int status = t_run("a@3:crash", t_three_hits);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_int_equal(t_run("a@4:crash", t_three_hits), 0);
}

static void
delays_wait(void **state)
{
    (void)state;
    assert_int_equal(t_run("slow:delay=20", t_waits), 0);
}

static void
a_text_that_does_not_parse_stops(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "a", "a:boom", "a@x:error", ":error", "a:delay=", "a:delay"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int status = t_run(wrong[i], t_three_hits);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unarmed_points_do_nothing),
        cmocka_unit_test(errors_are_counted),
        cmocka_unit_test(crashes_kill),
        cmocka_unit_test(delays_wait),
        cmocka_unit_test(a_text_that_does_not_parse_stops),
    };
    return cmocka_run_group_tests_name("os fault", tests, NULL, NULL);
}
