/*
 * Where a cluster's ledger is: a journal in the folder of each of its processes, or, with
 * --engine=postgres, a schema of PostgreSQL for each. DATA/engine says which it was begun with:
 * money that is in the one is not found by the other.
 *
 * The schema of the first process is the one that the URL names, "tael_ledger" unless it says
 * otherwise; the others' have the number of their process behind it: "tael_ledger_2".
 */
#include "cluster.h"

#include "base/span.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENGINE_NAME    "engine"
#define ENGINE_MAX     32
#define SCHEMA_DEFAULT "tael_ledger"
#define SCHEMA_OPTION  "schema="

static bool
fail(const struct cluster *cluster, const char *why)
{
    (void)command_fail(cluster->command, "engine: %s", why);
    return false;
}

static bool
is_postgres_url(const char *url)
{
    return strncmp(url, "postgres://", strlen("postgres://")) == 0 ||
           strncmp(url, "postgresql://", strlen("postgresql://")) == 0;
}

int
cluster_ledger_settle(struct cluster *cluster)
{
    const struct cluster_settings *settings = &cluster->settings;
    const char *ledger = settings->node.ledger;
    cluster->on_postgres = strcmp(settings->engine, "postgres") == 0;
    if (!cluster->on_postgres && strcmp(settings->engine, "journal") != 0) {
        return command_misuse(
            cluster->command, "--engine=%s: journal or postgres", settings->engine);
    }
    if (!cluster->on_postgres) {
        return ledger[0] == '\0' || settings->shards == 0
                   ? COMMAND_GO_ON
                   : command_misuse(
                         cluster->command,
                         "--ledger: each of several shards needs one of its own; with "
                         "--engine=postgres each gets a schema there");
    }
    if (ledger[0] != '\0' && !is_postgres_url(ledger)) {
        return command_misuse(
            cluster->command, "--ledger: with --engine=postgres it begins with postgres://");
    }
    return ledger[0] != '\0' || cluster->shared
               ? COMMAND_GO_ON
               : command_misuse(
                     cluster->command,
                     "--engine=postgres: there is no PostgreSQL (--ledger, --documents, or "
                     "Debian's "
                     "package postgresql and a folder without documents in SQLite)");
}

/* ---------------------------------------------------------------------------- which it was begun
 * --
 */

static const char *
engine_of(const struct cluster *cluster)
{
    return cluster->on_postgres ? "postgres\n" : "journal\n";
}

static bool
has_journal(const struct cluster *cluster)
{
    char path[CLUSTER_WORD_SIZE];
    cluster_path(cluster, "ledger/ledger", path);
    return access(path, F_OK) == 0;
}

bool
cluster_ledger_prepare(const struct cluster *cluster)
{
    char path[CLUSTER_WORD_SIZE];
    char *text = NULL;
    size_t size = 0;
    const char *wanted = engine_of(cluster);
    struct os_disk *disk = os_disk_real();
    cluster_path(cluster, ENGINE_NAME, path);
    err_t result = os_file_load(disk, path, ENGINE_MAX, &text, &size);
    bool same = result == ERR_OK ? span_equal(span_of(text, size), span_from_cstr(wanted))
                                 : !(has_journal(cluster) && cluster->on_postgres);
    free(text);
    if (result == ERR_NOT_FOUND && same) {
        result =
            os_file_save(disk, cluster->settings.node.data, ENGINE_NAME, span_from_cstr(wanted));
    } else if (result == ERR_NOT_FOUND) {
        result = ERR_OK;
    }
    if (result != ERR_OK) {
        return fail(cluster, err_text(result));
    }
    return same || fail(cluster, "--engine is another than this folder was begun with");
}

/* -------------------------------------------------------------------------------------- its URL --
 */

/* What the URL says, the last if it says so more than once. */
static struct span
schema_of(const char *url)
{
    struct span found = SPAN(SCHEMA_DEFAULT);
    struct span rest = span_from_cstr(url);
    (void)span_cut(&rest, '?');
    while (rest.size > 0) {
        struct span value = span_cut(&rest, '&');
        struct span name = span_cut(&value, '=');
        if (span_equal(name, SPAN("schema"))) {
            found = value;
        }
    }
    return found;
}

/* Without what says it. */
static void
url_append(struct buf *out, const char *url, struct span schema, const char *suffix)
{
    struct span rest = span_from_cstr(url);
    buf_append_span(out, span_cut(&rest, '?'));
    char separator = '?';
    while (rest.size > 0) {
        struct span pair = span_cut(&rest, '&');
        if (pair.size == 0 || span_starts_with(pair, SPAN(SCHEMA_OPTION))) {
            continue;
        }
        buf_append_format(out, "%c%.*s", separator, (int)pair.size, pair.data);
        separator = '&';
    }
    buf_append_format(
        out, "%c" SCHEMA_OPTION "%.*s%s", separator, (int)schema.size, schema.data, suffix);
}

void
cluster_ledger_word(
    const struct cluster *cluster,
    const struct cluster_process *process,
    struct cluster_words *words)
{
    const struct node_settings *node = &cluster->settings.node;
    const char *url = node->ledger[0] != '\0'      ? node->ledger
                      : node->documents[0] != '\0' ? node->documents
                                                   : cluster->documents;
    char suffix[CLUSTER_NAME_SIZE] = "";
    char text[NODE_DATABASE_SIZE + CLUSTER_NAME_SIZE];
    struct buf out;
    const char *number = strchr(process->name, '-'); /* "ledger-2" */
    if (number != NULL) {
        (void)snprintf(suffix, sizeof(suffix), "_%s", number + 1);
    }
    buf_init_fixed(&out, text, sizeof(text) - 1);
    url_append(&out, url, schema_of(url), suffix);
    text[out.size] = '\0';
    cluster_word_add(words, "--ledger=%s", text);
}
