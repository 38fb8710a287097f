#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "os/clock.h"
#include "os/loop_real.h"
#include "os/process.h"
#include "os/secret.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct t_stop {
    struct os_task task;
    atomic_uint count;
};

static void
stop_run(struct os_task *task)
{
    atomic_fetch_add(&CONTAINER_OF(task, struct t_stop, task)->count, 1);
}

static void
t_wait_for(atomic_uint *count)
{
    for (int i = 0; i < 5000 && atomic_load(count) == 0; i++) {
        struct timespec time = {.tv_nsec = 1000000};
        (void)nanosleep(&time, NULL);
    }
}

static void
the_first_signal_is_a_task(void **state)
{
    (void)state;
    struct t_stop stop = {.task = {.run = stop_run}};
    struct os_loop *loop;
    struct os_signals *signals = NULL;
    assert_int_equal(os_loop_create("stop", os_clock_real(), &loop), ERR_OK);
    struct os_executor *executor = os_loop_executor(loop);
    assert_int_equal(os_signals_create(executor, &stop.task, &signals), ERR_OK);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    t_wait_for(&stop.count);
    assert_int_equal(atomic_load(&stop.count), 1);
    os_signals_destroy(&signals);
    assert_null(signals);
    os_signals_destroy(&signals);
    os_loop_stop(loop);
    os_loop_destroy(loop);
}

/* Exit code of a child that gets the two signals. */
static int
t_child(int first, int second)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct t_stop stop = {.task = {.run = stop_run}};
        struct os_loop *loop;
        struct os_signals *signals;
        if (os_loop_create("stop", os_clock_real(), &loop) != ERR_OK ||
            os_signals_create(os_loop_executor(loop), &stop.task, &signals) != ERR_OK ||
            os_loop_start(loop) != ERR_OK) {
            _exit(1);
        }
        (void)kill(getpid(), first);
        t_wait_for(&stop.count);
        (void)kill(getpid(), second);
        for (;;) {
            (void)pause();
        }
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
the_second_signal_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(t_child(SIGTERM, SIGINT), 128 + SIGINT);
    assert_int_equal(t_child(SIGINT, SIGTERM), 128 + SIGTERM);
}

static void
dumps_are_off_after_it_was_asked(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = 1};
        bool good = os_process_disable_dumps() == ERR_OK &&
                    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
                    getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0;
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
the_file_limit_goes_up_and_not_past_the_hard_one(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_max > 100);
    struct rlimit low = {.rlim_cur = 64, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(os_process_raise_file_limit(100), 100);
    assert_int_equal(os_process_raise_file_limit(80), 100);
    assert_true(os_process_raise_file_limit(UINT64_MAX) == limit.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void
usage_counts_what_was_used(void **state)
{
    (void)state;
    struct os_usage before = os_process_usage();
    size_t size = 32u << 20;
    char *allocated = malloc(size);
    assert_non_null(allocated);
    volatile char *memory = allocated;
    /* By time used, so that a slow clock tick of the kernel cannot fail it. */
    struct os_usage after = before;
    for (int round = 0; round < 1000 && after.cpu_user_ns <= before.cpu_user_ns; round++) {
        for (size_t i = 0; i < size; i += 512) {
            memory[i] = (char)(memory[i] + round + 1);
        }
        after = os_process_usage();
    }
    assert_true(after.cpu_user_ns > before.cpu_user_ns);
    assert_true(after.rss_bytes >= before.rss_bytes + size / 2);
    assert_true(after.rss_peak_bytes >= after.rss_bytes / 2);
    free(allocated);
}

static void
the_machine_has_a_description(void **state)
{
    (void)state;
    struct os_machine machine;
    os_machine_describe(&machine);
    assert_true(machine.core_count >= 1);
    assert_true(strlen(machine.cpu_model) > 0);
    assert_int_equal(strncmp(machine.kernel, "Linux ", 6), 0);
    assert_true(machine.memory_bytes > (64u << 20));
}

/* How a child ends that writes one byte at `place`. */
static bool
t_write_kills(volatile char *place)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        struct rlimit none = {0};
        (void)setrlimit(RLIMIT_CORE, &none);
        *place = 1;
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void
secret_memory_is_guarded_and_not_inherited(void **state)
{
    (void)state;
    static char ordinary;
    assert_false(t_write_kills(&ordinary));
    size_t sizes[] = {1, 16, 4096, 5000};
    for (size_t i = 0; i < 4; i++) {
        size_t size = sizes[i];
        char *secret = os_secret_alloc(size, NULL);
        assert_non_null(secret);
        assert_int_equal((uintptr_t)secret % 16, 0);
        for (size_t k = 0; k < size; k++) {
            assert_int_equal(secret[k], 0);
        }
        memset(secret, 's', size);
        assert_true(t_write_kills(secret)); /* the child does not have it */
        os_secret_free(secret, size);
    }
    os_secret_free(NULL, 1);
}

static void
writing_behind_a_secret_stops_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        struct rlimit none = {0};
        (void)setrlimit(RLIMIT_CORE, &none);
        volatile char *secret = os_secret_alloc(32, NULL);
        if (secret == NULL) {
            _exit(1);
        }
        secret[31] = 1;
        secret[32] = 1;
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_signal_is_a_task),
        cmocka_unit_test(the_second_signal_ends_the_process),
        cmocka_unit_test(dumps_are_off_after_it_was_asked),
        cmocka_unit_test(the_file_limit_goes_up_and_not_past_the_hard_one),
        cmocka_unit_test(usage_counts_what_was_used),
        cmocka_unit_test(the_machine_has_a_description),
        cmocka_unit_test(secret_memory_is_guarded_and_not_inherited),
        cmocka_unit_test(writing_behind_a_secret_stops_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
