/* Loading the ledger, failing, and loading it again. */
#include "ledger_engine_internal.h"

#include <stdio.h>

/* A shared store: how often it is asked whether it still holds the ledger, and how often an engine
 * without one tries to load. */
#define ENGINE_WATCH_NS (250 * OS_NS_PER_MS)
#define ENGINE_RETRY_NS (500 * OS_NS_PER_MS)

void
engine_alarm_raise(struct ledger_engine *engine, const char *what, const char *detail)
{
    if (engine->settings.alarm != NULL) {
        char text[STORE_MESSAGE_SIZE + 128];
        snprintf(text, sizeof(text), "ledger: %s%s%s", what, detail[0] == '\0' ? "" : ": ", detail);
        engine->settings.alarm(engine->settings.alarm_context, text);
    }
}

uint64_t
engine_time(void *context, uint64_t ledger_clock)
{
    struct ledger_engine *engine = context;
    uint64_t alarms = engine->clock.alarms;
    uint64_t now = engine_clock_now(&engine->clock, ledger_clock);
    if (engine->clock.alarms != alarms) {
        atomic_store(&engine->clock_alarms, engine->clock.alarms);
        engine_alarm_raise(
            engine,
            engine->clock.behind ? "the wall clock went back" : "the wall clock jumped",
            "");
    }
    return now;
}

static void
notice_raise(void *context, const char *text)
{
    engine_alarm_raise(context, text, "");
}

/* The guard goes by what was noted with the ledger before anything is executed. */
static err_t
guard_begin(struct ledger_engine *engine, struct store_error *error)
{
    struct engine_machine *machine = &engine->machine;
    const struct port_ledger_guard *guard = engine->settings.guard;
    if (guard != NULL && guard->loaded != NULL) {
        const struct store_ops *ops = machine->store->ops;
        struct span note = ops->note_get == NULL ? SPAN_EMPTY : ops->note_get(machine->store);
        err_t code = guard->loaded(guard->context, note);
        if (code != ERR_OK) {
            error->code = code;
            (void)snprintf(
                error->message,
                sizeof(error->message),
                "what is noted of its slots: %s",
                err_text(code));
            engine_machine_close(machine);
            return code;
        }
    }
    machine->guard = guard;
    engine_machine_settle(machine);
    return ERR_OK;
}

err_t
engine_load(struct ledger_engine *engine, struct store_error *error)
{
    struct store *store = NULL;
    struct store_settings settings = engine->settings.store;
    settings.clock = engine->settings.clock;
    settings.notice = notice_raise;
    settings.notice_context = engine;
    TRY(store_open(engine->settings.url, engine->settings.disk, &settings, &store, error));
    TRY(engine_machine_open(&engine->machine, store, &engine->settings.limits, error));
    engine->machine.time = engine_time;
    engine->machine.time_context = engine;
    TRY(guard_begin(engine, error));
    engine->machine.executor = os_loop_executor(engine->loop);
    engine->machine_is_open = true;
    engine_gauges_set(engine);
    engine_head_publish(engine);
    return ERR_OK;
}

/* What it means that loading failed. */
enum ledger_engine_health
engine_health_of(const struct ledger_engine *engine, err_t code)
{
    if (code == ERR_OK) {
        return LEDGER_ENGINE_RUNNING;
    }
    if (engine->shared && code == ERR_LOCKED) {
        return LEDGER_ENGINE_STANDBY;
    }
    bool may_pass = err_category(code) == ERR_CATEGORY_RETRYABLE || code == ERR_DISK_FULL ||
                    code == ERR_MEMORY || code == ERR_DATABASE;
    if (engine->shared && may_pass) {
        return LEDGER_ENGINE_UNREACHABLE;
    }
    return LEDGER_ENGINE_FAILED;
}

/* When to look at a shared store again; never, of one that has failed for good. */
void
engine_watch_arm(struct ledger_engine *engine)
{
    int health = atomic_load(&engine->health);
    if (engine->shared && health != LEDGER_ENGINE_FAILED) {
        uint64_t delay = engine->machine_is_open ? ENGINE_WATCH_NS : ENGINE_RETRY_NS;
        uint64_t now = os_monotonic_ns(engine->settings.clock);
        os_timer_arm(engine->loop, &engine->watch_timer, now + delay);
    }
}

void
engine_reload(struct ledger_engine *engine)
{
    ASSERT(engine->in_flight == 0);
    if (engine->machine_is_open) {
        engine_machine_close(&engine->machine);
        engine->machine_is_open = false;
    }
    engine->failing = false;
    engine->reload_wanted = false;
    struct store_error error = {0};
    int before = atomic_load(&engine->health);
    err_t code = engine_load(engine, &error);
    enum ledger_engine_health health = engine_health_of(engine, code);
    atomic_store(&engine->health, (int)health);
    if ((int)health != before) { /* a standby tries again and again, and tells of it once */
        atomic_fetch_add(&engine->reloads, 1);
        engine_alarm_raise(
            engine, code == ERR_OK ? "loaded again" : "cannot be loaded again", error.message);
    }
    engine_watch_arm(engine);
}

/* ENGINE-3. */
void
engine_fail(struct ledger_engine *engine, const char *detail)
{
    if (!engine->failing) {
        engine->failing = true;
        atomic_store(&engine->health, LEDGER_ENGINE_RELOADING);
        os_timer_cancel(engine->loop, &engine->pulse_timer);
        engine_alarm_raise(engine, "the store failed", detail);
    }
    engine_answer_busy(engine, &engine->waiting);
}
