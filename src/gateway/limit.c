#include "limit.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"

#include <stdlib.h>

#define NS_PER_S UINT64_C(1000000000)

/* What of a rule is looked at and taken. */
enum part {
    PART_RATE = 1,
    PART_PLACE = 2,
};

struct subject {
    struct map_link by_id;
    struct list_link age; /* in table->ages, the one used last at the end */
    uint64_t id;
    uint64_t full_ns; /* when the bucket is full again */
    uint32_t under_way;
};

struct gateway_limit_table {
    struct map map;
    struct list ages;
    struct subject *subjects;
    uint32_t used;
    uint32_t limit;
    uint64_t forgotten;
};

struct gateway_limit_rule
gateway_limit_rule_make(uint64_t rate, uint64_t burst, uint64_t concurrent)
{
    ASSERT(burst <= UINT32_MAX);
    ASSERT(concurrent <= UINT32_MAX);
    uint64_t full = burst != 0 ? burst : rate;
    return (struct gateway_limit_rule){
        .interval_ns = rate == 0 ? 0 : (NS_PER_S + rate / 2) / rate,
        .burst = full == 0 ? 1 : (uint32_t)full,
        .concurrent = (uint32_t)concurrent,
    };
}

err_t
gateway_limit_create(uint32_t subjects_max, struct gateway_limit_table **ret_table)
{
    ASSERT(subjects_max > 0);
    struct gateway_limit_table *table = calloc(1, sizeof(*table));
    struct subject *subjects = calloc(subjects_max, sizeof(*subjects));
    if (table == NULL || subjects == NULL) {
        free(table);
        free(subjects);
        return ERR_MEMORY;
    }
    table->subjects = subjects;
    table->limit = subjects_max;
    map_init(&table->map, subjects_max);
    list_init(&table->ages);
    *ret_table = table;
    return ERR_OK;
}

void
gateway_limit_destroy(struct gateway_limit_table **table)
{
    if (*table == NULL) {
        return;
    }
    map_release(&(*table)->map);
    free((*table)->subjects);
    free(*table);
    *table = NULL;
}

static struct subject *
find(const struct gateway_limit_table *table, uint64_t id)
{
    struct map_link *link = map_find(&table->map, hash_u64(id));
    for (; link != NULL; link = map_next(link)) {
        struct subject *subject = CONTAINER_OF(link, struct subject, by_id);
        if (subject->id == id) {
            return subject;
        }
    }
    return NULL;
}

/* LIMIT-3: the oldest without requests under way. */
static struct subject *
make_room(struct gateway_limit_table *table, uint64_t now_ns)
{
    if (table->used < table->limit) {
        return &table->subjects[table->used++];
    }
    LIST_FOREACH_SAFE (&table->ages, link) {
        struct subject *subject = CONTAINER_OF(link, struct subject, age);
        if (subject->under_way == 0) {
            table->forgotten += subject->full_ns > now_ns ? 1 : 0;
            map_remove(&table->map, &subject->by_id);
            list_remove(&subject->age);
            return subject;
        }
    }
    return NULL;
}

static struct subject *
find_or_make(struct gateway_limit_table *table, uint64_t id, uint64_t now_ns)
{
    struct subject *subject = find(table, id);
    if (subject != NULL) {
        list_remove(&subject->age);
        list_push_back(&table->ages, &subject->age);
        return subject;
    }
    subject = make_room(table, now_ns);
    if (subject == NULL) {
        return NULL;
    }
    *subject = (struct subject){.id = id};
    if (map_insert(&table->map, hash_u64(id), &subject->by_id) != ERR_OK) {
        /* Without memory for a larger table: the place is lost until the process ends. */
        return NULL;
    }
    list_push_back(&table->ages, &subject->age);
    return subject;
}

/* LIMIT-1: how long until a token is there; 0: now. */
static uint64_t
wait_ns(const struct subject *subject, const struct gateway_limit_rule *rule, uint64_t now_ns)
{
    if (rule->interval_ns == 0 || subject->full_ns <= now_ns) {
        return 0;
    }
    uint64_t tolerance_ns = rule->interval_ns * (rule->burst - 1);
    uint64_t ahead_ns = subject->full_ns - now_ns;
    return ahead_ns <= tolerance_ns ? 0 : ahead_ns - tolerance_ns;
}

static void
take_token(struct subject *subject, const struct gateway_limit_rule *rule, uint64_t now_ns)
{
    if (rule->interval_ns != 0) {
        uint64_t from_ns = subject->full_ns > now_ns ? subject->full_ns : now_ns;
        subject->full_ns = from_ns + rule->interval_ns;
    }
}

static struct gateway_limit_verdict
look(
    const struct subject *subject,
    const struct gateway_limit_rule *rule,
    uint32_t parts,
    uint64_t now_ns)
{
    struct gateway_limit_verdict verdict = {.reason = GATEWAY_LIMIT_NONE};
    if (subject == NULL) {
        verdict.reason = GATEWAY_LIMIT_TABLE;
    } else if (
        (parts & PART_PLACE) != 0 && rule->concurrent != 0 &&
        subject->under_way >= rule->concurrent) {
        verdict.reason = GATEWAY_LIMIT_CONCURRENT;
    } else if ((parts & PART_RATE) != 0) {
        verdict.retry_ns = wait_ns(subject, rule, now_ns);
        verdict.reason = verdict.retry_ns == 0 ? GATEWAY_LIMIT_NONE : GATEWAY_LIMIT_RATE;
    }
    return verdict;
}

static void
take(
    struct gateway_limit_table *table,
    const struct gateway_limit_check *checks,
    uint32_t count,
    uint32_t parts,
    uint64_t now_ns,
    struct gateway_limit_verdict *ret_verdict)
{
    struct subject *subjects[GATEWAY_LIMIT_CHECKS_MAX];
    ASSERT(count <= GATEWAY_LIMIT_CHECKS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        subjects[i] = find_or_make(table, checks[i].subject, now_ns);
        struct gateway_limit_verdict verdict = look(subjects[i], &checks[i].rule, parts, now_ns);
        /* Pinned while the others are looked at, so that none makes room for another. */
        if (subjects[i] != NULL) {
            subjects[i]->under_way++;
        }
        if (verdict.reason != GATEWAY_LIMIT_NONE) {
            verdict.check = i;
            *ret_verdict = verdict;
            for (uint32_t j = 0; j <= i; j++) { /* LIMIT-2 */
                if (subjects[j] != NULL) {
                    subjects[j]->under_way--;
                }
            }
            return;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if ((parts & PART_RATE) != 0) {
            take_token(subjects[i], &checks[i].rule, now_ns);
        }
        subjects[i]->under_way -= (parts & PART_PLACE) != 0 ? 0 : 1;
    }
    *ret_verdict = (struct gateway_limit_verdict){.reason = GATEWAY_LIMIT_NONE};
}

void
gateway_limit_take(
    struct gateway_limit_table *table,
    const struct gateway_limit_check *checks,
    uint32_t count,
    bool concurrency_only,
    uint64_t now_ns,
    struct gateway_limit_verdict *ret_verdict)
{
    uint32_t parts = concurrency_only ? PART_PLACE : PART_PLACE | PART_RATE;
    take(table, checks, count, parts, now_ns, ret_verdict);
}

void
gateway_limit_take_rates(
    struct gateway_limit_table *table,
    const struct gateway_limit_check *checks,
    uint32_t count,
    uint64_t now_ns,
    struct gateway_limit_verdict *ret_verdict)
{
    take(table, checks, count, PART_RATE, now_ns, ret_verdict);
}

void
gateway_limit_release(
    struct gateway_limit_table *table, const struct gateway_limit_check *checks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct subject *subject = find(table, checks[i].subject);
        ASSERT(subject != NULL);
        ASSERT(subject->under_way > 0);
        subject->under_way--;
    }
}

void
gateway_limit_count(
    const struct gateway_limit_table *table, struct gateway_limit_counters *ret_counters)
{
    ret_counters->subjects = table->map.size;
    ret_counters->forgotten = table->forgotten;
}
