/*
 * A PostgreSQL of the cluster's own, from Debian's packages: below DATA/postgres, reached by a
 * socket in there, by nobody but its user and root. It refuses to be root; then it is the user that
 * Debian's package makes.
 */
#include "cluster.h"

#include "base/span.h"

#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PACKAGES     "/usr/lib/postgresql"
#define UNPRIVILEGED "postgres"
#define OWNER        "tael"
#define START_MS     30000
#define POLL_MS      20
#define PID_FILE_MAX 4096
#define USER_SIZE    4096
/* sun_path, less "/.s.PGSQL.5432" and the zero. */
#define SOCKET_FOLDER_MAX 93

/* --------------------------------------------------------------------------------- where it is */

static void
see_version(void *context, const char *name)
{
    uint64_t *newest = context;
    char path[NODE_PATH_SIZE];
    uint64_t version;
    (void)snprintf(path, sizeof(path), PACKAGES "/%s/bin/initdb", name);
    if (span_parse_u64(span_from_cstr(name), &version) && version > *newest &&
        access(path, X_OK) == 0) {
        *newest = version;
    }
}

void
cluster_postgres_find(char out[NODE_PATH_SIZE])
{
    uint64_t newest = 0;
    struct os_disk *disk = os_disk_real();
    out[0] = '\0';
    if (disk->ops->list(disk, PACKAGES, see_version, &newest) == ERR_OK && newest != 0) {
        (void)snprintf(out, NODE_PATH_SIZE, PACKAGES "/%u/bin", (unsigned)newest);
    }
}

/* ------------------------------------------------------------------------------------- its own */

struct place {
    char folder[SOCKET_FOLDER_MAX + 1]; /* DATA/postgres, absolute */
    char data[SOCKET_FOLDER_MAX + 8];
    struct cluster_spawn spawn; /* the user */
};

static bool
explain(const struct cluster *cluster, const char *what)
{
    (void)command_fail(
        cluster->command,
        "postgres: %s; --postgres=no does without, --documents takes yours",
        what);
    return false;
}

/* As root it belongs to the user that runs it, who must reach it: DATA shows its names to nobody,
 * but may be passed. */
static bool
hand_over(const struct cluster *cluster, struct place *place)
{
    char memory[USER_SIZE];
    struct passwd entry;
    struct passwd *user = NULL;
    if (getuid() != 0) {
        return true;
    }
    if (getpwnam_r(UNPRIVILEGED, &entry, memory, sizeof(memory), &user) != 0 || user == NULL) {
        return explain(cluster, "there is no user " UNPRIVILEGED " to run it as");
    }
    place->spawn.as_user = true;
    place->spawn.user = user->pw_uid;
    place->spawn.group = user->pw_gid;
    if (chown(place->folder, user->pw_uid, user->pw_gid) != 0 ||
        chmod(cluster->settings.node.data, S_IRWXU | S_IXGRP | S_IXOTH) != 0) {
        return explain(cluster, "its folder cannot be handed over");
    }
    return true;
}

static bool
place_make(const struct cluster *cluster, struct place *place)
{
    char path[CLUSTER_WORD_SIZE];
    char absolute[PATH_MAX];
    struct os_disk *disk = os_disk_real();
    cluster_path(cluster, "postgres", path);
    err_t result = disk->ops->make_folder(disk, path);
    if (result != ERR_OK || realpath(path, absolute) == NULL) {
        return explain(cluster, result == ERR_OK ? "no such folder" : err_text(result));
    }
    if (strlen(absolute) > SOCKET_FOLDER_MAX) {
        return explain(cluster, "the path of --data is too long for a socket");
    }
    (void)snprintf(place->folder, sizeof(place->folder), "%.*s", SOCKET_FOLDER_MAX, absolute);
    (void)snprintf(place->data, sizeof(place->data), "%s/data", place->folder);
    place->spawn.folder = place->folder;
    return hand_over(cluster, place);
}

static bool
is_made(const struct place *place)
{
    char path[SOCKET_FOLDER_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/PG_VERSION", place->data);
    return access(path, F_OK) == 0;
}

static bool
make(const struct cluster *cluster, struct place *place)
{
    struct cluster_words words;
    struct cluster_process process = {.kind = CLUSTER_POSTGRES};
    char program[NODE_PATH_SIZE + 16];
    (void)snprintf(program, sizeof(program), "%s/initdb", cluster->programs);
    cluster_words_init(&words);
    cluster_word_add(&words, "%s", program);
    cluster_word_add(&words, "--pgdata=%s", place->data);
    cluster_word_add(&words, "--username=" OWNER);
    cluster_word_add(&words, "--auth=trust"); /* its folder keeps others out */
    cluster_word_add(&words, "--encoding=UTF8");
    cluster_word_add(&words, "--locale=C.UTF-8");
    cluster_word_add(&words, "--no-instructions");
    struct cluster_spawn spawn = place->spawn;
    spawn.program = program;
    spawn.argv = words.argv;
    bool good = cluster_words_fit(&words) && cluster_process_start(&process, &spawn) == ERR_OK &&
                cluster_process_wait(&process);
    cluster_words_release(&words);
    return good || explain(cluster, "initdb failed (can its user reach the folder?)");
}

/* Its own word, in its first line's process: the file of one that died before says nothing. */
static bool
is_ready(const struct place *place, pid_t pid)
{
    char path[SOCKET_FOLDER_MAX + 32];
    char *text = NULL;
    size_t size = 0;
    (void)snprintf(path, sizeof(path), "%s/postmaster.pid", place->data);
    if (os_file_load(os_disk_real(), path, PID_FILE_MAX, &text, &size) != ERR_OK) {
        return false;
    }
    struct span rest = span_of(text, size);
    struct span first = span_cut(&rest, '\n');
    uint64_t number = 0;
    bool ready = span_parse_u64(span_trim(first), &number) && number == (uint64_t)pid &&
                 strstr(text, "\nready") != NULL;
    free(text);
    return ready;
}

static bool
launch(const struct cluster *cluster, struct place *place, struct cluster_process *process)
{
    struct cluster_words words;
    char program[NODE_PATH_SIZE + 16];
    (void)snprintf(program, sizeof(program), "%s/postgres", cluster->programs);
    cluster_words_init(&words);
    cluster_word_add(&words, "%s", program);
    cluster_word_add(&words, "-D");
    cluster_word_add(&words, "%s", place->data);
    cluster_word_add(&words, "-k");
    cluster_word_add(&words, "%s", place->folder);
    cluster_word_add(&words, "-h"); /* no port */
    cluster_word_add(&words, "%s", "");
    cluster_word_add(&words, "-c");
    cluster_word_add(&words, "log_min_messages=error");
    struct cluster_spawn spawn = place->spawn;
    spawn.program = program;
    spawn.argv = words.argv;
    process->stop_signal = SIGINT; /* "fast": who is still there is sent away */
    bool good = cluster_words_fit(&words) && cluster_process_start(process, &spawn) == ERR_OK;
    cluster_words_release(&words);
    return good;
}

/* What kill -9 left of the one before holds its shared memory for a moment: it is tried again. */
static bool
come_up(const struct cluster *cluster, struct place *place, struct cluster_process *process)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    for (unsigned i = 0; i < START_MS / POLL_MS; i++) {
        int status;
        if (process->pid == 0 && !launch(cluster, place, process)) {
            return false;
        }
        if (is_ready(place, process->pid)) {
            return true;
        }
        (void)nanosleep(&pause, NULL);
        if (waitpid(process->pid, &status, WNOHANG) == process->pid) {
            (void)fclose(process->out);
            process->out = NULL;
            process->pid = 0;
        }
    }
    return false;
}

/* "postgres://tael@/postgres?host=..." with what may not stand in a URL as %XX. */
static void
url_make(const struct place *place, char out[NODE_DATABASE_SIZE])
{
    struct buf text;
    buf_init_fixed(&text, out, NODE_DATABASE_SIZE - 1);
    buf_append_cstr(&text, "postgres://" OWNER "@/postgres?host=");
    for (const char *at = place->folder; *at != '\0'; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || strchr("/-_.", *at) != NULL;
        buf_append_format(&text, plain ? "%c" : "%%%02X", (unsigned char)*at);
    }
    out[text.size] = '\0';
}

bool
cluster_postgres_start(struct cluster *cluster, struct cluster_process *process)
{
    struct place place = {.folder = ""};
    if (!place_make(cluster, &place) || (!is_made(&place) && !make(cluster, &place))) {
        return false;
    }
    if (!come_up(cluster, &place, process)) {
        return explain(cluster, "it does not start");
    }
    url_make(&place, cluster->documents);
    return true;
}
