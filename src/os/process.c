#include "os/process.h"

#include "base/assert.h"
#include "base/span.h"
#include "os/clock.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void
ignore(int signal_number)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    int result = sigaction(signal_number, &action, NULL);
    ASSERT(result == 0);
}

void
os_process_ignore_pipe_signal(void)
{
    ignore(SIGPIPE);
}

void
os_process_ignore_hangup(void)
{
    if (isatty(STDIN_FILENO) == 0) {
        ignore(SIGHUP);
    }
}

err_t
os_process_disable_dumps(void)
{
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return err_from_errno(errno);
    }
    return ERR_OK;
}

uint64_t
os_process_raise_file_limit(uint64_t wanted)
{
    struct rlimit limit;
    int result = getrlimit(RLIMIT_NOFILE, &limit);
    ASSERT(result == 0);
    if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = limit;
        raised.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            limit = raised;
        }
    }
    return limit.rlim_cur;
}

static uint64_t
ns_of(struct timeval time)
{
    return (uint64_t)time.tv_sec * OS_NS_PER_S + (uint64_t)time.tv_usec * OS_NS_PER_US;
}

/* One line of a file; empty if it cannot be read. */
static struct span
read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return SPAN_EMPTY;
    }
    bool got = fgets(line, size, file) != NULL;
    (void)fclose(file);
    return got ? span_from_cstr(line) : SPAN_EMPTY;
}

/* /proc/self/statm: size, resident, ... in pages. */
static void
read_memory(struct os_usage *usage)
{
    char line[256];
    struct span rest = read_line("/proc/self/statm", line, sizeof(line));
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t pages = 0;
    usage->virtual_bytes = span_parse_u64(span_cut(&rest, ' '), &pages) ? pages * page : 0;
    usage->rss_bytes = span_parse_u64(span_cut(&rest, ' '), &pages) ? pages * page : 0;
}

/* /proc/self/stat, proc(5): field 20 is num_threads, field 22 starttime in ticks since the boot.
 * Field 2, the name, ends at the last parenthesis. */
static void
read_stat(struct os_usage *usage)
{
    char line[1024];
    struct span rest = read_line("/proc/self/stat", line, sizeof(line));
    size_t name_end = 0;
    for (size_t i = 0; i < rest.size; i++) {
        name_end = rest.data[i] == ')' ? i + 2 : name_end;
    }
    rest = span_slice(rest, name_end, rest.size);
    uint64_t ticks = 0;
    struct timespec now;
    struct timespec since_boot;
    for (int field = 3; field <= 22; field++) {
        struct span word = span_cut(&rest, ' ');
        if (field == 20 && !span_parse_u64(word, &usage->threads)) {
            return;
        }
        if (field == 22 && !span_parse_u64(word, &ticks)) {
            return;
        }
    }
    uint64_t boot_s = ticks / (uint64_t)sysconf(_SC_CLK_TCK);
    if (clock_gettime(CLOCK_REALTIME, &now) == 0 &&
        clock_gettime(CLOCK_BOOTTIME, &since_boot) == 0) {
        usage->started_unix_s = (uint64_t)(now.tv_sec - since_boot.tv_sec) + boot_s;
    }
}

static void
read_files(struct os_usage *usage)
{
    struct rlimit limit;
    usage->open_files_max = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return;
    }
    while (readdir(folder) != NULL) {
        usage->open_files++;
    }
    (void)closedir(folder);
    /* ".", ".." and the folder itself. */
    usage->open_files = usage->open_files > 3 ? usage->open_files - 3 : 0;
}

struct os_usage
os_process_usage(void)
{
    struct rusage used;
    int result = getrusage(RUSAGE_SELF, &used);
    ASSERT(result == 0);
    struct os_usage usage = {
        .cpu_user_ns = ns_of(used.ru_utime),
        .cpu_system_ns = ns_of(used.ru_stime),
        .rss_peak_bytes = (uint64_t)used.ru_maxrss * 1024,
    };
    read_memory(&usage);
    read_stat(&usage);
    read_files(&usage);
    return usage;
}

/* The value of the first "model name" line of /proc/cpuinfo. */
static void
read_cpu_model(char *out, size_t size)
{
    (void)snprintf(out, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return;
    }
    char line[512];
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || value == NULL) {
            continue;
        }
        value += 1 + strspn(value + 1, " \t");
        size_t length = strcspn(value, "\n");
        length = length < size ? length : size - 1;
        memcpy(out, value, length);
        out[length] = '\0';
        break;
    }
    (void)fclose(file);
}

static uint32_t
count_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        return (uint32_t)CPU_COUNT(&set);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

void
os_machine_describe(struct os_machine *ret_machine)
{
    *ret_machine = (struct os_machine){.core_count = count_cores()};
    read_cpu_model(ret_machine->cpu_model, sizeof(ret_machine->cpu_model));
    struct utsname name;
    int result = uname(&name);
    ASSERT(result == 0);
    (void)snprintf(
        ret_machine->kernel,
        sizeof(ret_machine->kernel),
        "%.31s %.63s %.31s",
        name.sysname,
        name.release,
        name.machine);
    long pages = sysconf(_SC_PHYS_PAGES);
    if (pages > 0) {
        ret_machine->memory_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
}
