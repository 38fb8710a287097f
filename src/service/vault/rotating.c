/* Rotations in a vault that works: requests, steps by a timer, what is told of them. */
#include "private.h"

#include "base/assert.h"
#include "base/list.h"
#include "trace/log.h"
#include "vault/master.h"

#include <stdlib.h>
#include <string.h>

/* Between two steps of a rotation, so that cards are not kept waiting. */
#define STEP_PAUSE_NS (UINT64_C(10) * OS_NS_PER_MS)
/* After a step that failed. */
#define STEP_AGAIN_NS (UINT64_C(10) * OS_NS_PER_S)

void
vault_forget_cached(void *context, const struct vault_stored *before)
{
    struct vault *vault = context;
    struct vault_stored *by_token = vault_cache_slot(vault->by_token, before->token);
    struct vault_stored *by_lookup = vault_cache_slot(vault->by_lookup, before->lookup);
    if (strcmp(by_token->token, before->token) == 0) {
        memset(by_token, 0, sizeof(*by_token));
    }
    if (strcmp(by_lookup->lookup, before->lookup) == 0) {
        memset(by_lookup, 0, sizeof(*by_lookup));
    }
}

static void
log_rotation(const struct vault *vault, enum trace_level level, const char *what, err_t error)
{
    if (vault->parts.log != NULL) {
        struct vault_aside aside;
        vault_aside_look(vault, &aside);
        TRACE_LOG(
            vault->parts.log,
            level,
            "vault",
            SPAN_EMPTY,
            "rotation of the vault's keys",
            trace_cstr("what", what),
            trace_i64("generation", vault->keys->generation),
            trace_i64("cards", (int64_t)atomic_load(&vault->sealed_anew)),
            trace_i64("unreadable", aside.count),
            trace_cstr("result", err_name(error)));
    }
}

static void
step_after(struct vault *vault, uint64_t pause_ns)
{
    os_timer_arm(
        vault->parts.loop, &vault->step_timer, os_monotonic_ns(vault->parts.clock) + pause_ns);
}

static void
fire_step(struct os_timer *timer)
{
    CONTAINER_OF(timer, struct vault, step_timer)->step_is_due = true;
}

static void
set_aside(void *context, const char *token)
{
    struct vault *vault = context;
    vault_aside_add(vault, token);
    if (vault->parts.log != NULL) {
        TRACE_LOG(
            vault->parts.log,
            TRACE_ERROR,
            "vault",
            SPAN_EMPTY,
            "a damaged card was set aside: nothing can be paid with it",
            trace_cstr("card", token));
    }
}

static void
rotation_step(struct vault *vault)
{
    struct vault_rotation_step step = {0};
    err_t error = vault_rotation_step(&vault->work, &step);
    bool was_failing = atomic_exchange(&vault->failing, error != ERR_OK);
    if (error != ERR_OK) {
        if (!was_failing) {
            log_rotation(vault, TRACE_ERROR, "a step of the rotation failed", error);
        }
        step_after(vault, STEP_AGAIN_NS);
        return;
    }
    atomic_fetch_add(&vault->sealed_anew, step.cards);
    if (step.retired) {
        os_timer_cancel(vault->parts.loop, &vault->step_timer);
        atomic_store(&vault->rotating, false);
        log_rotation(vault, TRACE_WARNING, "the rotation is done, older keys are removed", ERR_OK);
    } else {
        step_after(vault, STEP_PAUSE_NS);
    }
}

static void
run_rotate_done(struct os_task *task)
{
    struct vault_rotate *request = CONTAINER_OF(task, struct vault_rotate, task);
    request->done(request);
}

static void
rotate(struct os_task *task)
{
    struct vault_rotate *request = CONTAINER_OF(task, struct vault_rotate, task);
    struct vault *vault = request->vault;
    request->error = vault_keys_rotate(
        vault->keys, &vault->place, os_wall_ns(vault->parts.clock) / OS_NS_PER_MS);
    if (request->error == ERR_OK) {
        atomic_store(&vault->generation, vault->keys->generation);
        atomic_store(&vault->rotating, true);
        log_rotation(vault, TRACE_WARNING, "a new generation of keys is in use", ERR_OK);
    }
    if ((request->error == ERR_OK || request->error == ERR_BUSY) &&
        !os_timer_is_armed(&vault->step_timer)) {
        step_after(vault, STEP_PAUSE_NS);
    }
    request->task.run = run_rotate_done;
    os_post(request->reply_to, &request->task);
}

static void
run_rotate(struct os_task *task)
{
    vault_rotating_ask(CONTAINER_OF(task, struct vault_rotate, task)->vault, task, rotate);
}

void
vault_rotate(struct vault *vault, struct vault_rotate *request)
{
    request->vault = vault;
    request->task.run = run_rotate;
    os_post(os_loop_executor(vault->parts.loop), &request->task);
}

void
vault_rotation_look(const struct vault *vault, struct vault_rotation *ret_rotation)
{
    *ret_rotation = (struct vault_rotation){
        .generation = atomic_load(&vault->generation),
        .under_way = atomic_load(&vault->rotating),
        .cards = atomic_load(&vault->sealed_anew),
        .failing = atomic_load(&vault->failing),
    };
    vault_aside_look(vault, &ret_rotation->aside);
}

void
vault_rotating_ask(struct vault *vault, struct os_task *task, void (*run)(struct os_task *))
{
    task->run = run;
    task->next = vault->asked;
    vault->asked = task;
}

void
vault_rotating_turn(struct vault *vault)
{
    while (vault->asked != NULL) {
        struct os_task *task = vault->asked;
        vault->asked = task->next;
        task->run(task);
    }
    if (vault->step_is_due) {
        vault->step_is_due = false;
        rotation_step(vault);
    }
}

err_t
vault_rotating_open(struct vault *vault)
{
    const struct vault_parts *parts = &vault->parts;
    uint32_t oldest = 0;
    uint32_t newest = 0;
    vault->work = (struct vault_rotation_work){
        .keys = vault->keys,
        .place = &vault->place,
        .batch = calloc(VAULT_STEP_CARDS, sizeof(*vault->work.batch)),
        .changed = vault_forget_cached,
        .set_aside = set_aside,
        .context = vault,
    };
    if (vault->work.batch == NULL) {
        return ERR_MEMORY;
    }
    TRY(vault_master_range(parts->disk, parts->folder, &oldest, &newest));
    TRY(vault_aside_open(vault));
    atomic_store(&vault->generation, vault->keys->generation);
    vault->step_timer.fire = fire_step;
    if (vault_keys_old_count(vault->keys) > 0 || oldest < vault->keys->generation) {
        atomic_store(&vault->rotating, true);
        step_after(vault, STEP_PAUSE_NS);
    }
    return ERR_OK;
}
