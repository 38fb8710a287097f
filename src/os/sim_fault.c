/* Rules, stops and crashes of the simulated disk. */
#include "base/assert.h"
#include "sim_parts.h"

#include <string.h>

const char *
os_sim_operation_name(enum os_sim_operation operation)
{
    static const char *const names[OS_SIM_OPERATION_COUNT] = {
        [OS_SIM_OPEN] = "open",
        [OS_SIM_READ] = "read",
        [OS_SIM_WRITE] = "write",
        [OS_SIM_SYNC] = "sync",
        [OS_SIM_ALLOCATE] = "allocate",
        [OS_SIM_TRUNCATE] = "truncate",
        [OS_SIM_RENAME] = "rename",
        [OS_SIM_REMOVE] = "remove",
        [OS_SIM_MAKE_FOLDER] = "make_folder",
        [OS_SIM_SYNC_FOLDER] = "sync_folder",
    };
    ASSERT(operation < OS_SIM_OPERATION_COUNT);
    return names[operation];
}

static struct os_sim_verdict
verdict_of_rule(const struct os_sim_rule *rule)
{
    switch (rule->effect) {
    case OS_SIM_FAIL:
        return (struct os_sim_verdict){.code = rule->code};
    case OS_SIM_SHORT:
        return (struct os_sim_verdict){.perform = true, .tear = true, .code = rule->code};
    case OS_SIM_LOSE:
        return (struct os_sim_verdict){.code = ERR_OK};
    case OS_SIM_MISDIRECT:
        return (struct os_sim_verdict){.perform = true, .shift = rule->shift, .code = ERR_OK};
    }
    UNREACHABLE();
}

struct os_sim_verdict
os_sim_judge(struct os_sim_disk *sim, enum os_sim_operation operation, const char *path)
{
    if (sim->stopped) {
        return (struct os_sim_verdict){.code = ERR_IO};
    }
    if (operation != OS_SIM_READ) {
        sim->operations++;
        if (sim->operations == sim->stop_at) {
            sim->stopped = true;
            return (struct os_sim_verdict){
                .perform = os_prng_chance(&sim->prng, 1, 2),
                .tear = operation == OS_SIM_WRITE && os_prng_chance(&sim->prng, 1, 2),
                .code = ERR_IO,
            };
        }
    }
    struct os_sim_verdict verdict = {.perform = true, .code = ERR_OK};
    bool hit = false;
    for (size_t i = 0; i < sim->rule_count; i++) {
        const struct os_sim_rule *rule = &sim->rules[i].rule;
        if (rule->operation != operation || strstr(path, sim->rules[i].path_part) == NULL) {
            continue;
        }
        uint64_t number = sim->rules[i].matched++;
        bool applies =
            number >= rule->skip && (rule->times == 0 || number - rule->skip < rule->times);
        if (applies && !hit) {
            verdict = verdict_of_rule(rule);
            hit = true;
        }
    }
    return verdict;
}

uint64_t
os_sim_disk_operations(struct os_sim_disk *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    uint64_t operations = sim->operations;
    (void)pthread_mutex_unlock(&sim->lock);
    return operations;
}

void
os_sim_disk_stop_at(struct os_sim_disk *sim, uint64_t at)
{
    (void)pthread_mutex_lock(&sim->lock);
    ASSERT(sim->faults);
    ASSERT(at == 0 || at > sim->operations);
    sim->stop_at = at;
    (void)pthread_mutex_unlock(&sim->lock);
}

bool
os_sim_disk_is_stopped(struct os_sim_disk *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    bool stopped = sim->stopped;
    (void)pthread_mutex_unlock(&sim->lock);
    return stopped;
}

/* What was open belongs to a process that is gone. */
static void
end_process(struct os_sim_disk *sim)
{
    for (size_t i = 0; i < sim->now.count; i++) {
        sim->now.entries[i].inode->locker = NULL;
    }
    sim->generation++;
    sim->stopped = false;
    sim->stop_at = 0;
}

/* Only what is durable is there. */
static void
crash_file(struct os_sim_disk *sim, struct os_sim_inode *inode)
{
    if (inode->change_count == 0 && !inode->diverged) {
        return;
    }
    os_sim_inode_settle(inode, &sim->prng);
    sim->used -= inode->now.size;
    err_t result = os_sim_image_copy(&inode->now, &inode->durable);
    ASSERT(result == ERR_OK);
    sim->used += inode->now.size;
    inode->diverged = false;
}

void
os_sim_disk_crash(struct os_sim_disk *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    ASSERT(sim->faults);
    os_sim_names_settle(sim);
    for (size_t i = 0; i < sim->now.count; i++) {
        crash_file(sim, sim->now.entries[i].inode);
    }
    end_process(sim);
    (void)pthread_mutex_unlock(&sim->lock);
}

void
os_sim_disk_kill(struct os_sim_disk *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    end_process(sim);
    (void)pthread_mutex_unlock(&sim->lock);
}

uint64_t
os_sim_disk_unsynced(struct os_sim_disk *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    uint64_t count = sim->name_change_count;
    for (size_t i = 0; i < sim->now.count; i++) {
        count += sim->now.entries[i].inode->change_count;
    }
    (void)pthread_mutex_unlock(&sim->lock);
    return count;
}

void
os_sim_disk_add_rule(struct os_sim_disk *sim, const struct os_sim_rule *rule)
{
    const char *part = rule->path_part != NULL ? rule->path_part : "";
    size_t size = strlen(part) + 1;
    ASSERT(rule->operation < OS_SIM_OPERATION_COUNT);
    ASSERT(rule->effect == OS_SIM_FAIL || rule->operation == OS_SIM_WRITE);
    ASSERT(size <= OS_SIM_RULE_PATH_SIZE);
    bool fails = rule->effect == OS_SIM_FAIL || rule->effect == OS_SIM_SHORT;
    ASSERT(!fails || rule->code != ERR_OK);
    (void)pthread_mutex_lock(&sim->lock);
    ASSERT(sim->faults);
    ASSERT(sim->rule_count < OS_SIM_RULES_MAX);
    size_t at = sim->rule_count++;
    sim->rules[at].rule = *rule;
    sim->rules[at].rule.path_part = NULL;
    sim->rules[at].matched = 0;
    memcpy(sim->rules[at].path_part, part, size);
    (void)pthread_mutex_unlock(&sim->lock);
}

void
os_sim_disk_clear_rules(struct os_sim_disk *sim)
{
    (void)pthread_mutex_lock(&sim->lock);
    sim->rule_count = 0;
    (void)pthread_mutex_unlock(&sim->lock);
}

void
os_sim_disk_set_capacity(struct os_sim_disk *sim, uint64_t capacity)
{
    (void)pthread_mutex_lock(&sim->lock);
    sim->capacity = capacity;
    (void)pthread_mutex_unlock(&sim->lock);
}

static err_t
flip_locked(struct os_sim_disk *sim, const char *path, uint64_t offset, unsigned bit)
{
    char normal[OS_PATH_SIZE];
    TRY(os_sim_path_normalize(path, normal));
    struct os_sim_inode *inode = os_sim_tree_find(&sim->now, normal);
    if (inode == NULL) {
        return ERR_NOT_FOUND;
    }
    if (offset >= inode->now.size) {
        return ERR_RANGE;
    }
    os_sim_image_flip(&inode->now, offset, bit);
    os_sim_image_flip(&inode->durable, offset, bit);
    return ERR_OK;
}

err_t
os_sim_disk_flip(struct os_sim_disk *sim, const char *path, uint64_t offset, unsigned bit)
{
    (void)pthread_mutex_lock(&sim->lock);
    err_t result = flip_locked(sim, path, offset, bit);
    (void)pthread_mutex_unlock(&sim->lock);
    return result;
}
