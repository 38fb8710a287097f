/*
 * `tael ledger replay`: runs a script of operations against a ledger of its own and tells one JSON
 * line per line of it (docs/ledger.md, "Replay"). For people who debug, audit and test.
 *
 * Time is the script's: it starts at 0 (or where the store's ledger stands), moves by what the
 * commits need, and by ticks.
 */
#ifndef ENGINE_REPLAY_H
#define ENGINE_REPLAY_H

#include "base/span.h"
#include "store/store.h"

/* Bytes of a script, and of one of its lines. */
#define LEDGER_REPLAY_SCRIPT_MAX (UINT64_C(1) << 31)
#define LEDGER_REPLAY_LINE_MAX   (UINT32_C(1) << 24)

struct ledger_replay_settings {
    const char *url;      /* of the store: "memory:" or journal:FOLDER */
    struct os_disk *disk; /* for journal: */
    /* One line of the answer, without its newline; borrowed. */
    void (*line)(void *context, struct span text);
    void *context;
};

struct ledger_replay_summary {
    uint64_t lines;          /* read, empty ones not counted */
    uint64_t not_understood; /* of them; each was answered with {"error":...} */
};

/*
 * ERR_OK if every line was understood, whatever the statuses. ERR_INVALID if one was not: the
 * error names the first; the others were executed. What the store answered if it failed: the
 * script was not executed to its end. Empty lines are skipped.
 */
MUST_USE err_t ledger_engine_replay(
    const struct ledger_replay_settings *settings,
    struct span script,
    struct ledger_replay_summary *ret_summary,
    struct store_error *error);

#endif
