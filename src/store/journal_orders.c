/* Making the parts behind the writing, and comparing them with what they were made of. */
#include "journal_orders.h"

#include "base/assert.h"
#include "base/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNFINISHED "new.tmp"
/* Written between two syncs, so that none of them is long. */
#define SYNC_BYTES (UINT64_C(8) << 20)

static void
order_folder(const struct journal_orders *orders, char out[JOURNAL_ORDER_PATH_SIZE])
{
    int length = snprintf(out, JOURNAL_ORDER_PATH_SIZE, "%s/order", orders->folder);
    ASSERT(length > 0 && length < JOURNAL_ORDER_PATH_SIZE);
}

/* --- making parts, on the orders' thread --- */

static err_t
file_write(struct journal_orders *orders, struct os_file *file, const char *data, uint64_t size)
{
    const struct os_disk_ops *ops = orders->disk->ops;
    for (uint64_t done = 0; done < size;) {
        uint64_t part = size - done < SYNC_BYTES ? size - done : SYNC_BYTES;
        TRY(ops->write(orders->disk, file, data + done, part, done));
        TRY(ops->sync(orders->disk, file));
        done += part;
    }
    return ERR_OK;
}

/* Writes the part under a name that means nothing, and gives it its own when it is synced. */
static err_t
part_save(struct journal_orders *orders, const char *path, const char *data, uint64_t size)
{
    const struct os_disk_ops *ops = orders->disk->ops;
    char folder[JOURNAL_ORDER_PATH_SIZE];
    char temporary[JOURNAL_ORDER_PATH_SIZE + 16];
    order_folder(orders, folder);
    (void)snprintf(temporary, sizeof(temporary), "%s/%s", folder, UNFINISHED);
    struct os_file *file = NULL;
    err_t code = ops->open(orders->disk, temporary, OS_OPEN_CREATE, false, &file, NULL);
    if (code == ERR_EXISTS) {
        TRY(ops->remove(orders->disk, temporary));
        code = ops->open(orders->disk, temporary, OS_OPEN_CREATE, false, &file, NULL);
    }
    if (code != ERR_OK) {
        return code;
    }
    code = file_write(orders, file, data, size);
    ops->close(orders->disk, file);
    if (code == ERR_OK) {
        code = ops->rename(orders->disk, temporary, path);
    }
    if (code != ERR_OK) {
        /* What cannot be removed now is removed by the next one. */
        (void)ops->remove(orders->disk, temporary);
        return code;
    }
    return ops->sync_folder(orders->disk, folder);
}

/* Which of the kept orders have no file for the segment yet. */
static uint32_t
missing_of(struct journal_orders *orders, uint64_t segment)
{
    uint32_t missing = 0;
    for (uint32_t kind = 0; kind < STORE_ORDER_COUNT; kind++) {
        if ((orders->kept & 1u << kind) == 0) {
            continue;
        }
        char path[JOURNAL_ORDER_PATH_SIZE];
        struct os_file *file = NULL;
        journal_order_path(orders->folder, (enum store_order)kind, segment, path);
        err_t code = orders->disk->ops->open(orders->disk, path, OS_OPEN_READ, false, &file, NULL);
        if (code == ERR_OK) {
            orders->disk->ops->close(orders->disk, file);
        } else {
            missing |= 1u << kind;
        }
    }
    return missing;
}

/* A segment that is elsewhere gets no parts: what is asked of it needs it to be here anyway. */
static err_t
segment_make(struct journal_orders *orders, uint64_t segment)
{
    struct journal_order_build *build = &orders->build;
    build->wanted = missing_of(orders, segment);
    if (build->wanted == 0) {
        return ERR_OK;
    }
    err_t code = journal_order_collect(build, segment);
    if (code != ERR_OK) {
        return code == ERR_NOT_FOUND ? ERR_OK : code;
    }
    for (uint32_t kind = 0; kind < STORE_ORDER_COUNT && code == ERR_OK; kind++) {
        if ((build->wanted & 1u << kind) == 0) {
            continue;
        }
        uint64_t size = 0;
        char *data = journal_order_file(build, (enum store_order)kind, &size);
        if (data == NULL) {
            return ERR_MEMORY;
        }
        char path[JOURNAL_ORDER_PATH_SIZE];
        journal_order_path(orders->folder, (enum store_order)kind, segment, path);
        code = part_save(orders, path, data, size);
        free(data);
    }
    return code;
}

/* A held frame goes on to the I/O thread. */
static void
held_release(struct journal_orders *orders)
{
    struct os_task *task = atomic_exchange(&orders->held, NULL);
    if (task != NULL) {
        os_post(orders->io, task);
    }
}

/* What waits never becomes more than it was, by more than the lag that is always allowed. */
static void
lag_max_lower(struct journal_orders *orders, uint64_t made)
{
    uint64_t lag = atomic_load(&orders->closed) - made + 1;
    lag = lag > JOURNAL_ORDERS_LAG ? lag : JOURNAL_ORDERS_LAG;
    if (lag < atomic_load(&orders->lag_max)) {
        atomic_store(&orders->lag_max, lag);
    }
}

static void
orders_work(struct journal_orders *orders)
{
    while (!atomic_load(&orders->closing) && orders->next <= atomic_load(&orders->closed)) {
        err_t code = segment_make(orders, orders->next);
        if (code != ERR_OK) {
            /* Tried again when the next segment is closed. Until then nothing waits for it. */
            atomic_store(&orders->failure, code);
            atomic_fetch_add(&orders->failures, 1);
            held_release(orders);
            return;
        }
        atomic_store(&orders->failure, ERR_OK);
        atomic_store(&orders->made, orders->next);
        lag_max_lower(orders, orders->next);
        orders->next++;
        held_release(orders);
    }
    held_release(orders);
}

static void
orders_run(struct os_task *task)
{
    struct journal_orders *orders = CONTAINER_OF(task, struct journal_orders, task);
    atomic_store(&orders->posted, false);
    orders_work(orders);
}

/* --- beginning and ending --- */

void
journal_orders_init(
    struct journal_orders *orders, struct os_disk *disk, const char *folder, uint32_t kept)
{
    memset(orders, 0, sizeof(*orders));
    orders->disk = disk;
    orders->folder = folder;
    orders->kept = kept;
    orders->next = 1;
    orders->task.run = orders_run;
    orders->build.disk = disk;
    orders->build.folder = folder;
    atomic_init(&orders->lag_max, UINT64_MAX);
}

err_t
journal_orders_start(
    struct journal_orders *orders, struct os_loop *loop, struct os_executor *io, uint64_t closed)
{
    if (orders->kept == 0) {
        return ERR_OK;
    }
    char folder[JOURNAL_ORDER_PATH_SIZE];
    order_folder(orders, folder);
    TRY(orders->disk->ops->make_folder(orders->disk, folder));
    TRY(orders->disk->ops->sync_folder(orders->disk, orders->folder));
    orders->loop = loop;
    orders->io = io;
    const uint64_t most = closed > JOURNAL_ORDERS_LAG ? closed : JOURNAL_ORDERS_LAG;
    atomic_store(&orders->lag_max, most);
    if (closed > 0) {
        journal_orders_closed(orders, closed);
    }
    return ERR_OK;
}

void
journal_orders_closed(struct journal_orders *orders, uint64_t segment)
{
    if (orders->kept == 0 || segment == 0 || segment <= atomic_load(&orders->closed)) {
        return;
    }
    atomic_store(&orders->closed, segment);
    if (orders->loop == NULL) {
        orders_work(orders);
    } else if (!atomic_exchange(&orders->posted, true)) {
        os_post(os_loop_executor(orders->loop), &orders->task);
    }
}

void
journal_orders_stop(struct journal_orders *orders)
{
    atomic_store(&orders->closing, true);
}

void
journal_orders_release(struct journal_orders *orders)
{
    journal_orders_parts_release(orders);
    journal_order_build_release(&orders->build);
}

uint64_t
journal_orders_waiting(const struct journal_orders *orders)
{
    /* In this order: what is closed only rises, and what is made never passes it. */
    const uint64_t made = atomic_load(&orders->made);
    return atomic_load(&orders->closed) - made;
}

bool
journal_orders_news(struct journal_orders *orders, err_t *ret_code)
{
    const uint64_t failures = atomic_load(&orders->failures);
    const err_t code = atomic_load(&orders->failure);
    const bool was_told = orders->tell_failures > 0;
    if (code == ERR_OK) {
        orders->told_failures = failures;
        orders->tell_failures = 0;
        *ret_code = ERR_OK;
        return was_told;
    }
    const uint64_t row = failures - orders->told_failures;
    if (row == 0 || row < orders->tell_failures) {
        return false;
    }
    orders->tell_failures = row * 2;
    *ret_code = code;
    return true;
}

/* --- on the I/O thread --- */

static bool
lags(const struct journal_orders *orders)
{
    return atomic_load(&orders->closed) - atomic_load(&orders->made) >
               atomic_load(&orders->lag_max) &&
           atomic_load(&orders->failure) == ERR_OK && !atomic_load(&orders->closing);
}

bool
journal_orders_hold(struct journal_orders *orders, struct os_task *task)
{
    if (orders->loop == NULL || !lags(orders)) {
        return false;
    }
    atomic_store(&orders->held, task);
    /* Whoever ends the lag after this sees the task; whoever ended it before has to be noticed. */
    return lags(orders) || atomic_exchange(&orders->held, NULL) == NULL;
}

/* --- offline --- */

static err_t
part_verify(
    const struct journal_order_build *build,
    enum store_order kind,
    const char *path,
    struct store_error *error)
{
    char *text = NULL;
    size_t size = 0;
    uint64_t expected = 0;
    char *again = journal_order_file(build, kind, &expected);
    if (again == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    err_t code = os_file_load(build->disk, path, expected, &text, &size);
    bool same = code == ERR_OK && size == expected && memcmp(text, again, size) == 0;
    free(text);
    free(again);
    if (code != ERR_OK && code != ERR_FULL) {
        return store_error_set(error, code, "%s: %s", path, err_text(code));
    }
    return same ? ERR_OK
                : store_error_set(error, ERR_CORRUPT, "%s: not what its segment gives", path);
}

err_t
journal_orders_verify(
    struct os_disk *disk,
    const char *folder,
    const char *archive,
    uint64_t newest,
    uint64_t *ret_parts,
    struct store_error *error)
{
    struct journal_orders orders;
    journal_orders_init(&orders, disk, folder, (1u << STORE_ORDER_COUNT) - 1);
    struct journal_order_build *build = &orders.build;
    build->archive = archive;
    uint64_t parts = 0;
    err_t code = ERR_OK;
    for (uint64_t segment = 1; segment < newest && code == ERR_OK; segment++) {
        build->wanted = orders.kept & ~missing_of(&orders, segment);
        if (build->wanted == 0) {
            continue;
        }
        code = journal_order_collect(build, segment);
        if (code == ERR_NOT_FOUND) {
            code = ERR_OK;
            continue;
        }
        if (code != ERR_OK) {
            store_error_set(
                error, code, "%s: segment %" PRIu64 ": %s", folder, segment, err_text(code));
        }
        for (uint32_t kind = 0; kind < STORE_ORDER_COUNT && code == ERR_OK; kind++) {
            char path[JOURNAL_ORDER_PATH_SIZE];
            if ((build->wanted & 1u << kind) != 0) {
                journal_order_path(folder, (enum store_order)kind, segment, path);
                code = part_verify(build, (enum store_order)kind, path, error);
                parts++;
            }
        }
    }
    journal_order_build_release(build);
    *ret_parts = parts;
    return code;
}
