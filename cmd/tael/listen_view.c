#include "listen_view.h"

#include "show.h"
#include "text.h"

#include "os/clock.h"
#include "json/json.h"

#include <stdio.h>

#define LINE_SIZE 4096

static void
print_moment(void)
{
    char text[32];
    struct buf moment;
    buf_init_fixed(&moment, text, sizeof(text));
    text_moment_append(&moment, (int64_t)(os_wall_ns(os_clock_real()) / OS_NS_PER_S));
    (void)printf("%.*s  ", (int)moment.size, moment.data);
}

void
listen_view_ready(bool json, struct span secret)
{
    if (json) {
        (void)printf("{\"signing_secret\":\"%.*s\"}\n", SPAN_PRINTF(secret));
    } else {
        (void)printf(
            "Ready! The webhook signing secret is %.*s (^C to quit)\n", SPAN_PRINTF(secret));
    }
    (void)fflush(stdout);
}

void
listen_view_event(struct span type, struct span id)
{
    char text[LINE_SIZE];
    struct buf line;
    buf_init_fixed(&line, text, sizeof(text));
    show_text(&line, type, SHOW_BOLD, show_colored(stdout));
    buf_append_cstr(&line, " [");
    show_text(&line, id, SHOW_PLAIN, false);
    buf_append_byte(&line, ']');
    print_moment();
    (void)printf("--> %.*s\n", (int)line.size, line.data);
}

static const char *
failure_of(const struct net_call *call)
{
    return err_text(call->result == ERR_OUTCOME_UNKNOWN ? call->cause : call->result);
}

void
listen_view_answer(const char *url, const struct net_call *call, struct span id)
{
    char text[LINE_SIZE];
    struct buf line;
    bool good = call->status >= 200 && call->status < 300;
    buf_init_fixed(&line, text, sizeof(text));
    char status[160];
    if (call->result == ERR_OK) {
        (void)snprintf(status, sizeof(status), "%u", call->status);
    } else {
        (void)snprintf(status, sizeof(status), "%s", failure_of(call));
    }
    show_text(&line, span_from_cstr(status), good ? SHOW_GREEN : SHOW_RED, show_colored(stdout));
    print_moment();
    (void)printf("<-- [%.*s] POST %s [%.*s]\n", (int)line.size, line.data, url, SPAN_PRINTF(id));
}

void
listen_view_json(const char *url, const struct net_call *call, struct span type, struct span id)
{
    struct buf text;
    struct json_writer json;
    buf_init(&text, LINE_SIZE * 4);
    json_begin(&json, &text);
    json_object_begin(&json);
    json_member_text(&json, "event", id);
    json_member_text(&json, "type", type);
    if (call != NULL) {
        json_member_cstr(&json, "url", url);
        if (call->result == ERR_OK) {
            json_member_i64(&json, "status", call->status);
        } else {
            json_member_cstr(&json, "error", failure_of(call));
        }
        json_member_i64(
            &json, "duration_ms", (int64_t)((call->ended_ns - call->started_ns) / OS_NS_PER_MS));
    }
    json_object_end(&json);
    (void)printf("%.*s\n", (int)text.size, text.data);
    buf_release(&text);
}
