/*
 * `tael ledger head` and `tael ledger prove`: what an auditor notes down, and the evidence that a
 * transfer is part of the history that was noted. docs/ledger.md, "Proof of history", says how
 * anybody checks it.
 */
#include "client.h"
#include "ledger.h"
#include "option.h"
#include "show.h"

#include "store/proof.h"
#include "json/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEX_PIECE 4096 /* bytes of a frame that are written at a time */
#define PIECE_MAX (1U << 20)

/* --------------------------------------------------------------------------------------- head */

static const struct setting head_settings[] = {
    OPTION_TEXT(
        struct client_options,
        url,
        "url",
        TEXT_DEFAULT_URL,
        "Without DIR: --listen of a server on this machine, or --admin-listen."),
    OPTION_TEXT(
        struct client_options, ca, "ca", "", "https: a PEM file with the certificates to trust."),
    OPTION_DURATION(
        struct client_options, timeout_ms, "timeout", "30s", 1, 3600000, "For an answer."),
    OPTION_SWITCH(struct client_options, json, "json", "Prints the parts of the head as JSON."),
};

static void
print_head_json(const struct store_head *head, const char *text)
{
    char memory[STORE_HEAD_TEXT_SIZE * 3];
    struct buf out;
    struct json_writer json;
    buf_init_fixed(&out, memory, sizeof(memory));
    json_begin(&json, &out);
    json_object_begin(&json);
    json_member_cstr(&json, "head", text);
    json_key(&json, "sequence");
    json_u64(&json, head->sequence);
    json_key(&json, "segment");
    json_u64(&json, head->segment);
    json_key(&json, "offset");
    json_u64(&json, head->offset);
    json_key(&json, "timestamp");
    json_u128_text(&json, head->timestamp);
    json_member_cstr(&json, "digest", strrchr(text, ':') + 1);
    json_object_end(&json);
    (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&out)));
}

static int
print_head(const struct store_head *head, bool as_json)
{
    char text[STORE_HEAD_TEXT_SIZE];
    store_head_format(head, text);
    if (as_json) {
        print_head_json(head, text);
    } else {
        (void)puts(text);
    }
    return COMMAND_OK;
}

static int
head_of_server(const struct command *command, const struct client_options *options)
{
    struct client *client = NULL;
    int status = client_open_without_key(command, options, &client);
    if (status == COMMAND_GO_ON) {
        struct client_answer answer;
        const struct client_request request = {
            .method = HTTP_METHOD_GET, .target = SPAN("/ledger/head")};
        status = client_call(client, &request, &answer);
        if (status == COMMAND_GO_ON) {
            struct store_head head;
            const char *reason = NULL;
            err_t result = store_head_parse(client_text(answer.root, "head"), &head, &reason);
            status = result == ERR_OK
                         ? print_head(&head, options->json)
                         : command_fail(command, "the server's answer is no head: %s", reason);
        }
        client_answer_release(&answer);
    }
    client_close(&client);
    return status;
}

static int
head_of_folder(const struct command *command, const char *path, bool as_json)
{
    char url[LEDGER_URL_SIZE];
    err_t result = ledger_find_journal(path, url);
    if (result != ERR_OK) {
        return command_fail(
            command,
            "%s: %s",
            path,
            result == ERR_NOT_FOUND ? "there is no ledger" : err_text(result));
    }
    struct store_head head;
    struct store_error error = {0};
    result = store_head_read(url, os_disk_real(), &head, &error);
    if (result != ERR_OK) {
        return command_fail(
            command,
            "%s%s",
            error.message,
            result == ERR_LOCKED ? ": ask the server that has it open, by --url" : "");
    }
    return print_head(&head, as_json);
}

static int
run_head(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct client_options values = {.timeout_ms = 0};
    const struct command_options options = {
        COMMAND_TABLE(head_settings),
        .values = &values,
        .positional_max = 1,
    };
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    return positional > 0 ? head_of_folder(command, argv[1], values.json)
                          : head_of_server(command, &values);
}

/* -------------------------------------------------------------------------------------- prove */

struct prove_options {
    bool json;
    char head[STORE_HEAD_TEXT_SIZE];
};

static const struct setting prove_settings[] = {
    OPTION_TEXT(
        struct prove_options,
        head,
        "head",
        LEDGER_NO_HEAD,
        "Evidence up to a head that was noted, instead of the newest."),
    OPTION_SWITCH(
        struct prove_options, json, "json", "Prints the evidence whole, for a program to check."),
};

struct prove_run {
    struct show_progress progress;
    bool as_json;
    const char *folder;
    struct json_writer json;
    struct buf out;
    uint64_t later_count;
};

/* What was written so far goes to standard output: evidence has no maximum. */
static void
flush_json(struct prove_run *run)
{
    (void)fwrite(run->out.data, 1, run->out.size, stdout);
    buf_clear(&run->out);
}

/* A text value of hexadecimal digits. */
static void
write_hex(struct prove_run *run, const char *name, const char *bytes, uint64_t size)
{
    if (name != NULL) {
        json_key(&run->json, name);
    }
    json_raw(&run->json, SPAN("\""));
    for (uint64_t i = 0; i < size; i++) {
        buf_append_format(&run->out, "%02x", (unsigned)(uint8_t)bytes[i]);
        if (i % HEX_PIECE == HEX_PIECE - 1) {
            flush_json(run);
        }
    }
    buf_append_byte(&run->out, '"');
    flush_json(run);
}

static void
write_member_u64(struct prove_run *run, const char *name, uint64_t value)
{
    json_key(&run->json, name);
    json_u64(&run->json, value);
}

static void
write_found(
    struct prove_run *run,
    const struct store_proof_frame *frame,
    uint64_t transfer_at,
    const struct ledger_transfer *transfer)
{
    struct json_writer *json = &run->json;
    json_object_begin(json);
    json_key(json, "transfer");
    json_object_begin(json);
    json_key(json, "id");
    json_u128_text(json, transfer->id);
    json_key(json, "debit_account_id");
    json_u128_text(json, transfer->debit_account_id);
    json_key(json, "credit_account_id");
    json_u128_text(json, transfer->credit_account_id);
    json_key(json, "amount");
    json_u128_text(json, transfer->amount);
    write_member_u64(run, "ledger", transfer->ledger);
    write_member_u64(run, "code", transfer->code);
    json_key(json, "timestamp");
    json_u128_text(json, transfer->timestamp);
    json_object_end(json);
    json_key(json, "frame");
    json_object_begin(json);
    write_member_u64(run, "sequence", frame->sequence);
    write_member_u64(run, "segment", frame->segment);
    write_member_u64(run, "offset", frame->offset);
    write_member_u64(run, "header_size", frame->header_size);
    write_member_u64(run, "transfer_at", transfer_at);
    write_hex(run, "bytes", frame->bytes, frame->size);
    json_object_end(json);
    json_key(json, "headers");
    json_array_begin(json);
}

static void
print_found(
    struct prove_run *run,
    const struct store_proof_frame *frame,
    uint64_t transfer_at,
    const struct ledger_transfer *transfer)
{
    char id[U128_DECIMAL_SIZE];
    (void)u128_format(transfer->id, id);
    (void)printf(
        "Transfer %s is in frame %" PRIu64 ", written when the ledger's clock was %" PRIu64 ":\n"
        "%08" PRIu64 ".log, offset %" PRIu64 ", %" PRIu64
        " bytes; the transfer's 128 bytes are %" PRIu64 " bytes into it.\n",
        id,
        frame->sequence,
        frame->timestamp,
        frame->segment,
        frame->offset,
        frame->size,
        transfer_at);
    (void)printf(
        "Its header holds the SHA-256 of its body, at byte 96; this computes it:\n"
        "    tail -c +%" PRIu64 " %s/%08" PRIu64 ".log | head -c %" PRIu64 " | sha256sum\n"
        "The next header holds the SHA-256 of this one, at byte 64; this computes it:\n"
        "    tail -c +%" PRIu64 " %s/%08" PRIu64 ".log | head -c %" PRIu64 " | sha256sum\n",
        frame->offset + frame->header_size + 1,
        run->folder,
        frame->segment,
        frame->size - frame->header_size,
        frame->offset + 1,
        run->folder,
        frame->segment,
        frame->header_size);
}

static err_t
on_found(
    void *context,
    const struct store_proof_frame *frame,
    uint64_t transfer_at,
    const struct ledger_transfer *transfer)
{
    struct prove_run *run = context;
    show_progress_end(&run->progress);
    if (run->as_json) {
        write_found(run, frame, transfer_at, transfer);
    } else {
        print_found(run, frame, transfer_at, transfer);
    }
    return ERR_OK;
}

static err_t
on_later(void *context, const struct store_proof_frame *frame)
{
    struct prove_run *run = context;
    run->later_count++;
    if (run->as_json) {
        write_hex(run, NULL, frame->bytes, frame->header_size);
    }
    return ERR_OK;
}

static void
on_progress(void *context, uint64_t done, uint64_t total)
{
    struct prove_run *run = context;
    show_progress_step(&run->progress, done, total);
}

static void
finish(struct prove_run *run, const struct store_head *head)
{
    char text[STORE_HEAD_TEXT_SIZE];
    store_head_format(head, text);
    if (run->as_json) {
        json_array_end(&run->json);
        json_member_cstr(&run->json, "head", text);
        json_object_end(&run->json);
        buf_append_byte(&run->out, '\n');
        flush_json(run);
        return;
    }
    (void)printf(
        "%" PRIu64 " headers later comes the head:\n%s\n"
        "Whoever noted this head knows that the transfer was made, with these bytes, before it.\n",
        run->later_count,
        text);
}

static int
prove(
    const struct command *command,
    u128 id,
    const char *path,
    const struct store_head *noted,
    bool as_json)
{
    char url[LEDGER_URL_SIZE];
    err_t result = ledger_find_journal(path, url);
    if (result != ERR_OK) {
        return command_fail(
            command,
            "%s: %s",
            path,
            result == ERR_NOT_FOUND ? "there is no ledger" : err_text(result));
    }
    struct prove_run run = {.as_json = as_json, .folder = url + strlen("journal:")};
    buf_init(&run.out, PIECE_MAX);
    json_begin(&run.json, &run.out);
    const struct store_proof_visitor visitor = {
        .found = on_found, .later = on_later, .progress = on_progress, .context = &run};
    struct store_head head;
    struct store_error error = {0};
    show_progress_begin(&run.progress, "ledger prove");
    const struct store_proof_question question = {id, noted};
    result = store_prove(url, os_disk_real(), &question, &visitor, &head, &error);
    show_progress_end(&run.progress);
    int status = COMMAND_OK;
    if (result == ERR_OK) {
        finish(&run, &head);
    } else {
        status = command_fail(
            command,
            "%s%s",
            error.message,
            result == ERR_LOCKED ? ": stop the server that has it open first, or ask a backup"
                                 : "");
    }
    buf_release(&run.out);
    return status;
}

static int
run_prove(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct prove_options values;
    const struct command_options options = {
        COMMAND_TABLE(prove_settings),
        .values = &values,
        .positional_min = 2,
        .positional_max = 2,
    };
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    u128 id = 0;
    if (!u128_parse(span_from_cstr(argv[1]), &id) || id == 0) {
        return command_misuse(command, "'%s' is no transfer's id", argv[1]);
    }
    struct store_head room;
    const struct store_head *noted = NULL;
    status = ledger_read_head(command, values.head, &room, &noted);
    return status == COMMAND_GO_ON ? prove(command, id, argv[2], noted, values.json) : status;
}

const struct command ledger_head = {
    .name = "head",
    .usage = "[DIR] [--url=URL] [--json]",
    .summary = "Prints the value that fixes the whole history: what an auditor notes down",
    .manual =
        "Of the server at --url, or of DIR: a server's data folder or the ledger folder in it,\n"
        "which no server may be using. `tael ledger check DIR --head=HEAD` proves later that\n"
        "nothing before the head was changed.",
    .run = run_head,
    .parent = &command_ledger,
};
const struct command ledger_prove = {
    .name = "prove",
    .usage = "TRANSFER DIR [--head=HEAD] [--json]",
    .summary = "Prints the evidence that a transfer is part of the history",
    .manual = "TRANSFER is an id of the ledger, decimal. DIR as for check: the whole history is "
              "read and\n"
              "proved on the way. docs/ledger.md, \"Proof of history\", says what the evidence is "
              "and how\n"
              "to check it without this program.",
    .run = run_prove,
    .parent = &command_ledger,
};
