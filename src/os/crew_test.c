/* OS-17: every part once, by whoever has time, and all of it seen by the owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/list.h"
#include "os/crew.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define T_PARTS_MAX 200u

/* On the crew's threads the checks are ASSERTs: cmocka's jump back to the test's own thread. */
struct t_job {
    struct os_crew_job job;
    uint32_t size;              /* the crew's */
    uint32_t done[T_PARTS_MAX]; /* plain: the crew's order is what makes it safe */
    uint32_t worker_of[T_PARTS_MAX];
    atomic_uint under_way[OS_CREW_MAX + 1];
    long pause_ns;
};

static void
t_run(struct os_crew_job *job, uint32_t part, uint32_t worker)
{
    struct t_job *t = CONTAINER_OF(job, struct t_job, job);
    ASSERT(part < job->part_count);
    ASSERT(worker <= t->size);
    ASSERT(atomic_fetch_add(&t->under_way[worker], 1) == 0);
    if (t->pause_ns > 0) {
        const struct timespec pause = {.tv_nsec = t->pause_ns};
        (void)nanosleep(&pause, NULL);
    }
    t->done[part]++;
    t->worker_of[part] = worker;
    atomic_fetch_sub(&t->under_way[worker], 1);
}

static void
t_job_run(struct os_crew *crew, struct t_job *t, uint32_t parts)
{
    memset(t->done, 0, sizeof(t->done));
    t->job = (struct os_crew_job){.run = t_run, .part_count = parts};
    os_crew_run(crew, &t->job);
    for (uint32_t i = 0; i < T_PARTS_MAX; i++) {
        assert_int_equal(t->done[i], i < parts ? 1 : 0);
    }
}

static void
every_part_once(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= OS_CREW_MAX; size += size) {
        struct t_job t = {.size = size};
        struct os_crew *crew = NULL;
        assert_int_equal(os_crew_create("crew", size, &crew), ERR_OK);
        for (uint32_t round = 0; round < 2000; round++) {
            t_job_run(crew, &t, round % (T_PARTS_MAX + 1));
        }
        os_crew_destroy(&crew);
        assert_null(crew);
    }
}

/* With parts that wait, others take some of them. */
static void
the_crew_takes_its_share(void **state)
{
    (void)state;
    struct t_job t = {.size = 3, .pause_ns = 1000000};
    struct os_crew *crew = NULL;
    assert_int_equal(os_crew_create("crew", t.size, &crew), ERR_OK);
    bool others = false;
    for (int round = 0; round < 100 && !others; round++) {
        t_job_run(crew, &t, 100);
        for (uint32_t i = 0; i < 100; i++) {
            others = others || t.worker_of[i] != 0;
        }
    }
    assert_true(others);
    os_crew_destroy(&crew);
}

static void
without_a_crew_the_owner_does_it(void **state)
{
    (void)state;
    struct t_job t = {.size = 0};
    t_job_run(NULL, &t, 100);
    struct os_crew *none = NULL;
    os_crew_destroy(&none);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_once),
        cmocka_unit_test(the_crew_takes_its_share),
        cmocka_unit_test(without_a_crew_the_owner_does_it),
    };
    return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
