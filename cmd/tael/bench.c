/* `tael bench`: measures this build on this machine. */
#include "bench.h"

#include "base/assert.h"
#include "os/file.h"
#include "json/json.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

/* ---------------------------------------------------------------------------- surroundings */

void
bench_describe(bool json)
{
    struct os_machine machine;
    os_machine_describe(&machine);
    if (!json) {
        (void)printf(
            "machine   %s, %" PRIu32 " cores, %" PRIu64 " MiB; %s\n",
            machine.cpu_model,
            machine.core_count,
            machine.memory_bytes >> 20,
            machine.kernel);
        (void)printf("build     tael %s, %s\n", TAEL_VERSION, TAEL_BUILD);
        return;
    }
    struct buf text;
    struct json_writer writer;
    buf_init(&text, 4096);
    json_begin(&writer, &text);
    json_object_begin(&writer);
    json_member_cstr(&writer, "cpu", machine.cpu_model);
    json_member_i64(&writer, "cores", machine.core_count);
    json_member_i64(&writer, "memory_bytes", (int64_t)machine.memory_bytes);
    json_member_cstr(&writer, "kernel", machine.kernel);
    json_member_cstr(&writer, "version", TAEL_VERSION);
    json_member_cstr(&writer, "build", TAEL_BUILD);
    json_object_end(&writer);
    (void)printf("%.*s\n", (int)text.size, text.data);
    buf_release(&text);
}

err_t
bench_folder_make(const char *parent, char ret_path[BENCH_PATH_SIZE])
{
    const char *temporary = getenv("TMPDIR");
    if (parent[0] == '\0') {
        parent = temporary == NULL || temporary[0] == '\0' ? "/tmp" : temporary;
    }
    int size = snprintf(ret_path, BENCH_PATH_SIZE, "%s/tael-bench-XXXXXX", parent);
    if (size < 0 || size >= BENCH_PATH_SIZE) {
        return ERR_RANGE;
    }
    return mkdtemp(ret_path) == NULL ? ERR_IO : ERR_OK;
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void
bench_folder_remove(const char *path)
{
    enum {
        FILES_MAX = 16
    };

    if (nftw(path, remove_one, FILES_MAX, FTW_DEPTH | FTW_PHYS) != 0) {
        (void)fprintf(stderr, "tael bench: %s could not be removed\n", path);
    }
}

bool
bench_folder_is_volatile(const char *path)
{
    enum {
        TMPFS = 0x01021994, /* statfs(2) */
        RAMFS = (int)0x858458f6
    };

    struct statfs system;
    if (statfs(path, &system) != 0) {
        return false;
    }
    return (int)system.f_type == TMPFS || (int)system.f_type == RAMFS;
}

static err_t
time_syncs(struct os_disk *disk, struct os_file *file, void *page, uint64_t *ret_median_ns)
{
    enum {
        PAGES = 256,
        ROUNDS = 400
    };

    struct bench_histogram *times = calloc(1, sizeof(*times));
    if (times == NULL) {
        return ERR_MEMORY;
    }
    err_t result = disk->ops->allocate(disk, file, (uint64_t)PAGES * OS_DIRECT_ALIGNMENT);
    for (uint32_t i = 0; result == ERR_OK && i < ROUNDS; i++) {
        uint64_t from_ns = os_monotonic_ns(os_clock_real());
        uint64_t offset = (uint64_t)(i % PAGES) * OS_DIRECT_ALIGNMENT;
        result = disk->ops->write(disk, file, page, OS_DIRECT_ALIGNMENT, offset);
        if (result == ERR_OK) {
            result = disk->ops->sync(disk, file);
        }
        bench_histogram_add(times, os_monotonic_ns(os_clock_real()) - from_ns);
    }
    if (result == ERR_OK) {
        *ret_median_ns = bench_histogram_quantile(times, 500);
    }
    free(times);
    return result;
}

err_t
bench_sync_time(const char *folder, uint64_t *ret_median_ns)
{
    char path[BENCH_PATH_SIZE + 16];
    struct os_disk *disk = os_disk_real();
    struct os_file *file = NULL;
    bool direct = false;
    (void)snprintf(path, sizeof(path), "%s/sync", folder);
    TRY(disk->ops->open(disk, path, OS_OPEN_CREATE, true, &file, &direct));
    void *page = aligned_alloc(OS_DIRECT_ALIGNMENT, OS_DIRECT_ALIGNMENT);
    err_t result = ERR_MEMORY;
    if (page != NULL) {
        memset(page, 'x', OS_DIRECT_ALIGNMENT);
        result = time_syncs(disk, file, page, ret_median_ns);
    }
    free(page);
    disk->ops->close(disk, file);
    err_t removed = disk->ops->remove(disk, path);
    return result != ERR_OK ? result : removed;
}

/* ----------------------------------------------------------------------------- the command */

#define WORDS_MAX 32

/* Each gets words of its own: reading options may reorder them. */
static int
run_one(const struct command *command, int argc, char **argv)
{
    char *words[WORDS_MAX + 1];
    ASSERT(argc <= WORDS_MAX);
    memcpy(words, argv, (size_t)(argc + 1) * sizeof(words[0]));
    return command->run(command, argc, words);
}

static int
run_bench(const struct command *command, int argc, char **argv)
{
    const struct command_options none = {.positional_max = 0};
    int positional = 0;
    if (argc > WORDS_MAX) {
        return command_misuse(command, "too many arguments");
    }
    if (argc >= 2 && strcmp(argv[1], "ledger") == 0) {
        return run_one(&command_bench_ledger, argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "payments") == 0) {
        return run_one(&command_bench_payments, argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "webhooks") == 0) {
        return run_one(&command_bench_webhooks, argc - 1, argv + 1);
    }
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        return command_options(command, &none, argv, &positional);
    }
    if (argc >= 2 && argv[1][0] != '-') {
        return command_misuse(command, "there is no command '%.60s'", argv[1]);
    }
    int status = run_one(&command_bench_ledger, argc, argv);
    if (status != COMMAND_OK) {
        return status;
    }
    status = run_one(&command_bench_payments, argc, argv);
    if (status != COMMAND_OK) {
        return status;
    }
    return run_one(&command_bench_webhooks, argc, argv);
}

const struct command command_bench = {
    .name = "bench",
    .usage = "[ledger | payments | webhooks] [OPTIONS]",
    .summary = "Measures this build on this machine",
    .manual =
        "    tael bench ledger     the ledger alone: batches a second, in memory and durable\n"
        "    tael bench payments   payments over HTTP: by card, by wallet, by QR code\n"
        "    tael bench webhooks   deliveries of events to an endpoint of its own\n"
        "    tael bench            all, with the options that all have: --data, --json,\n"
        "                          --repeat, --seconds",
    .run = run_bench,
};
