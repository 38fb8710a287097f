/*
 * A crew shares work with the thread that has it: the owner hands out a job in numbered parts,
 * takes parts itself, and goes on when all of them are done. For work that waits for the disk or
 * for memory, and whose parts do not depend on each other.
 *
 *     os_loops_crew(loops, "readers", 2, &crew);
 *     os_crew_run(crew, &job);          on the owner's thread: returns when every part is done
 *     os_crew_destroy(&crew);
 *
 * OS-17 Every part is done exactly once; what any of them wrote the owner sees afterwards.
 *
 * While a job runs the owner's data does not change, unless the parts change it: who runs a part
 * may read what the owner may read. A part does not run another job of the same crew.
 */
#ifndef OS_CREW_H
#define OS_CREW_H

#include "base/err.h"

#include <stdint.h>

#define OS_CREW_MAX 8u

struct os_crew;

struct os_crew_job {
    /* Part `part` of `part_count`. `worker` is 0 on the owner's thread, and else 1 ... the crew's
     * size: no two parts with the same number run at the same time. */
    void (*run)(struct os_crew_job *job, uint32_t part, uint32_t worker);
    uint32_t part_count;
};

/* `size` threads beside the owner's, 1 ... OS_CREW_MAX. ERR_MEMORY, or what the system answered. */
MUST_USE err_t os_crew_create(const char *name, uint32_t size, struct os_crew **ret_crew);
/* Without a crew (NULL) the owner does all parts, one after the other. One owner at a time. */
void os_crew_run(struct os_crew *crew, struct os_crew_job *job);
/* When no job runs. NULL inside is fine; sets NULL. */
void os_crew_destroy(struct os_crew **crew);

#endif
