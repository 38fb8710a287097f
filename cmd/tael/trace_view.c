#include "trace_view.h"

#include "show.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdlib.h>

#define BAR_WIDTH 24
#define US_PER_MS 1000

struct span_row {
    const struct json_value *json;
    struct span id;
    struct span parent_id;
    uint64_t start_us;
    uint64_t duration_us;
    bool begins; /* its parent is not there */
    uint32_t depth;
};

struct view {
    struct span_row *rows; /* by start; of those that start together the longer one first */
    uint32_t count;
    uint32_t *stack; /* that wait to be shown; the next one last */
    uint32_t waiting;
    uint64_t start_us, end_us;
};

static struct span
member_text(const struct json_value *object, struct span name)
{
    struct span text = SPAN_EMPTY;
    return json_value_text(json_value_member(object, name), &text) == ERR_OK ? text : SPAN_EMPTY;
}

static bool
row_read(const struct json_value *json, struct span_row *row)
{
    *row = (struct span_row){
        .json = json,
        .id = member_text(json, SPAN("id")),
        .parent_id = member_text(json, SPAN("parentId")),
        .duration_us = 0,
    };
    if (row->id.size == 0 ||
        json_value_u64(json_value_member(json, SPAN("timestamp")), &row->start_us) != ERR_OK) {
        return false;
    }
    /* One that has none is not over, or nobody knows. */
    (void)!json_value_u64(json_value_member(json, SPAN("duration")), &row->duration_us);
    return true;
}

static int
compare(const void *a, const void *b)
{
    const struct span_row *one = a;
    const struct span_row *two = b;
    if (one->start_us != two->start_us) {
        return one->start_us < two->start_us ? -1 : 1;
    }
    if (one->duration_us != two->duration_us) {
        return one->duration_us > two->duration_us ? -1 : 1;
    }
    return 0;
}

static bool
is_child(const struct span_row *child, const struct span_row *parent)
{
    return child != parent && child->parent_id.size > 0 && span_equal(child->parent_id, parent->id);
}

static void
find_beginnings(struct view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        view->rows[i].begins = true;
        for (uint32_t j = 0; j < view->count && view->rows[i].begins; j++) {
            view->rows[i].begins = !is_child(&view->rows[i], &view->rows[j]);
        }
    }
}

static err_t
view_open(struct view *view, const struct json_value *spans)
{
    *view = (struct view){.start_us = UINT64_MAX};
    if (spans->kind != JSON_KIND_ARRAY) {
        return ERR_INVALID;
    }
    view->rows = calloc(TRACE_VIEW_SPANS_MAX, sizeof(*view->rows));
    view->stack = calloc(TRACE_VIEW_SPANS_MAX, sizeof(*view->stack));
    if (view->rows == NULL || view->stack == NULL) {
        return ERR_MEMORY;
    }
    for (const struct json_value *json = spans->first_child;
         json != NULL && view->count < TRACE_VIEW_SPANS_MAX;
         json = json->next) {
        struct span_row *row = &view->rows[view->count];
        if (!row_read(json, row)) {
            return ERR_INVALID;
        }
        uint64_t end_us = row->start_us + row->duration_us;
        view->start_us = row->start_us < view->start_us ? row->start_us : view->start_us;
        view->end_us = end_us > view->end_us ? end_us : view->end_us;
        view->count++;
    }
    qsort(view->rows, view->count, sizeof(*view->rows), compare);
    find_beginnings(view);
    return ERR_OK;
}

/* ----------------------------------------------------------------------------------- showing */

static void
append_bar(const struct view *view, const struct span_row *row, char out[BAR_WIDTH + 1])
{
    uint64_t whole = view->end_us > view->start_us ? view->end_us - view->start_us : 1;
    uint64_t from = (row->start_us - view->start_us) * BAR_WIDTH / whole;
    uint64_t to = (row->start_us - view->start_us + row->duration_us) * BAR_WIDTH / whole;
    from = from < BAR_WIDTH ? from : BAR_WIDTH - 1;
    to = to > from ? to : from + 1; /* however short, it is seen */
    for (uint64_t i = 0; i < BAR_WIDTH; i++) {
        out[i] = i >= from && i < to ? '=' : ' ';
    }
    out[BAR_WIDTH] = '\0';
}

/* What a reader wants to know first. */
static void
append_note(struct buf *out, const struct span_row *row)
{
    static const char *const keys[] = {
        "http.response.status_code",
        "tael.rail.outcome",
        "error.type",
        "tael.group.operations",
        "tael.group.requests",
    };
    const struct json_value *tags = json_value_member(row->json, SPAN("tags"));
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct span value = member_text(tags, span_from_cstr(keys[i]));
        if (value.size > 0) {
            buf_append_cstr(out, out->size > 0 ? ", " : "");
            buf_append_cstr(out, i >= 3 ? "group of " : "");
            buf_append_span(out, value);
        }
    }
}

static void
append_row(const struct view *view, const struct span_row *row, struct show_table *table)
{
    char bar[BAR_WIDTH + 1];
    char memory[256];
    struct buf note;
    uint64_t after_us = row->start_us - view->start_us;
    const struct json_value *tags = json_value_member(row->json, SPAN("tags"));
    bool failed = json_value_member(tags, SPAN("error")) != NULL;
    buf_init_fixed(&note, memory, sizeof(memory));
    append_bar(view, row, bar);
    append_note(&note, row);
    show_cell(
        table, SHOW_DIM, "%" PRIu64 ".%03" PRIu64, after_us / US_PER_MS, after_us % US_PER_MS);
    show_cell(
        table,
        SHOW_PLAIN,
        "%" PRIu64 ".%03" PRIu64,
        row->duration_us / US_PER_MS,
        row->duration_us % US_PER_MS);
    show_cell(table, SHOW_DIM, "%s", bar);
    struct span name = member_text(row->json, SPAN("name"));
    show_cell(
        table,
        failed ? SHOW_RED : SHOW_PLAIN,
        "%*s%.*s",
        (int)(2 * row->depth),
        "",
        SPAN_PRINTF(name));
    show_cell_span(table, failed ? SHOW_RED : SHOW_DIM, buf_span(&note));
}

/* The last one is the next to be shown, so they are added from the end. */
static void
add_children(struct view *view, const struct span_row *parent, uint32_t depth)
{
    for (uint32_t i = view->count; i > 0; i--) {
        struct span_row *row = &view->rows[i - 1];
        bool belongs = parent == NULL ? row->begins : !row->begins && is_child(row, parent);
        if (belongs && view->waiting < TRACE_VIEW_SPANS_MAX) {
            row->depth = depth < TRACE_VIEW_DEPTH_MAX ? depth : TRACE_VIEW_DEPTH_MAX;
            view->stack[view->waiting++] = i - 1;
        }
    }
}

static void
append_all(struct view *view, struct show_table *table)
{
    uint32_t shown = 0;
    add_children(view, NULL, 0);
    /* Ids that are there twice would come again and again. */
    while (view->waiting > 0 && shown < view->count) {
        const struct span_row *row = &view->rows[view->stack[--view->waiting]];
        append_row(view, row, table);
        shown++;
        add_children(view, row, row->depth + 1);
    }
}

err_t
trace_view_append(const struct json_value *spans, struct buf *out, bool colored)
{
    static const struct show_column columns[] = {
        {.title = "AFTER MS", .right = true},
        {.title = "TOOK MS", .right = true},
        {.title = ""},
        {.title = "SPAN"},
        {.title = ""},
    };
    struct view view;
    struct show_table table;
    err_t result = view_open(&view, spans);
    show_table_begin(&table, columns, sizeof(columns) / sizeof(columns[0]));
    if (result == ERR_OK) {
        append_all(&view, &table);
        result = table.failed ? ERR_MEMORY : ERR_OK;
    }
    if (result == ERR_OK) {
        show_table_append(&table, out, colored);
    }
    show_table_release(&table);
    free(view.rows);
    free(view.stack);
    return result;
}
