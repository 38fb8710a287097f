#include "measured_disk.h"

#include "base/list.h"
#include "os/clock.h"
#include "trace/metrics.h"

static const uint64_t time_bounds[] = {50000, TRACE_DISK_BOUNDS_NS};

TRACE_HISTOGRAM(
    sync_seconds,
    "tael_journal_sync_seconds",
    "Syncs of the ledger's journal, one for each frame.",
    9,
    time_bounds);
TRACE_COUNTER(
    written_bytes, "tael_journal_written_bytes_total", "Written to the ledger's journal.");
TRACE_COUNTER(
    failures, "tael_journal_failures_total", "Writes and syncs of the journal that failed.");

static const struct trace_metric *const all[] = {&sync_seconds, &written_bytes, &failures};

static struct os_disk *
inner_of(struct os_disk *disk)
{
    return CONTAINER_OF(disk, struct measured_disk, disk)->inner;
}

static err_t
measured_write(
    struct os_disk *disk, struct os_file *file, const void *data, size_t size, uint64_t offset)
{
    struct os_disk *inner = inner_of(disk);
    err_t result = inner->ops->write(inner, file, data, size, offset);
    trace_counter_add(&written_bytes, 0, result == ERR_OK ? size : 0);
    trace_counter_add(&failures, 0, result == ERR_OK ? 0 : 1);
    return result;
}

static err_t
measured_sync(struct os_disk *disk, struct os_file *file)
{
    struct os_disk *inner = inner_of(disk);
    uint64_t began_ns = os_monotonic_ns(os_clock_real());
    err_t result = inner->ops->sync(inner, file);
    trace_histogram_observe(&sync_seconds, 0, os_monotonic_ns(os_clock_real()) - began_ns);
    trace_counter_add(&failures, 0, result == ERR_OK ? 0 : 1);
    return result;
}

/* ------------------------------------------------------------------ passed on as they are */

static err_t
measured_open(
    struct os_disk *disk,
    const char *path,
    enum os_open_mode mode,
    bool direct,
    struct os_file **ret_file,
    bool *ret_direct)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->open(inner, path, mode, direct, ret_file, ret_direct);
}

static void
measured_close(struct os_disk *disk, struct os_file *file)
{
    struct os_disk *inner = inner_of(disk);
    inner->ops->close(inner, file);
}

static err_t
measured_read(struct os_disk *disk, struct os_file *file, void *out, size_t size, uint64_t offset)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->read(inner, file, out, size, offset);
}

static void
measured_write_back(struct os_disk *disk, struct os_file *file, uint64_t offset, size_t size)
{
    struct os_disk *inner = inner_of(disk);
    os_file_write_back(inner, file, offset, size);
}

static err_t
measured_allocate(struct os_disk *disk, struct os_file *file, uint64_t size)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->allocate(inner, file, size);
}

static err_t
measured_truncate(struct os_disk *disk, struct os_file *file, uint64_t size)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->truncate(inner, file, size);
}

static err_t
measured_size(struct os_disk *disk, struct os_file *file, uint64_t *ret_size)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->size(inner, file, ret_size);
}

static err_t
measured_rename(struct os_disk *disk, const char *from, const char *to)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->rename(inner, from, to);
}

static err_t
measured_remove(struct os_disk *disk, const char *path)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->remove(inner, path);
}

static err_t
measured_make_folder(struct os_disk *disk, const char *path)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->make_folder(inner, path);
}

static err_t
measured_sync_folder(struct os_disk *disk, const char *path)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->sync_folder(inner, path);
}

static err_t
measured_list(
    struct os_disk *disk,
    const char *path,
    void (*each)(void *context, const char *name),
    void *context)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->list(inner, path, each, context);
}

static err_t
measured_lock(struct os_disk *disk, struct os_file *file)
{
    struct os_disk *inner = inner_of(disk);
    return inner->ops->lock(inner, file);
}

static const struct os_disk_ops ops = {
    .open = measured_open,
    .close = measured_close,
    .read = measured_read,
    .write = measured_write,
    .sync = measured_sync,
    .write_back = measured_write_back,
    .allocate = measured_allocate,
    .truncate = measured_truncate,
    .size = measured_size,
    .rename = measured_rename,
    .remove = measured_remove,
    .make_folder = measured_make_folder,
    .sync_folder = measured_sync_folder,
    .list = measured_list,
    .lock = measured_lock,
};

struct os_disk *
measured_disk_init(struct measured_disk *measured, struct os_disk *inner)
{
    *measured = (struct measured_disk){.disk = {.ops = &ops}, .inner = inner};
    return &measured->disk;
}

void
measured_disk_metrics_render(struct buf *out)
{
    trace_metrics_render(all, TRACE_COUNT(all), out);
}
