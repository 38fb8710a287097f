#include "cold.h"

#include "base/assert.h"
#include "base/buf.h"

#include <string.h>

#define NAME_BEGIN "{\"" DOCUMENT_COLD_NAME_MEMBER "\":\""

/* ------------------------------------------------------------------- the members of an object */

struct walk {
    const char *at, *end;
    bool first;
};

struct member {
    struct span name; /* between its quotes, as it is written */
    struct span value;
};

/* Past a string, whose opening quote is next. */
static bool
skip_string(struct walk *walk)
{
    if (walk->at == walk->end || *walk->at != '"') {
        return false;
    }
    for (walk->at++; walk->at < walk->end; walk->at++) {
        if (*walk->at == '\\') {
            walk->at++;
        } else if (*walk->at == '"') {
            walk->at++;
            return true;
        }
    }
    walk->at = walk->end;
    return false;
}

/* Past an object or an array. Which bracket closes which is its writer's matter. */
static bool
skip_nested(struct walk *walk)
{
    size_t depth = 0;
    while (walk->at < walk->end) {
        char byte = *walk->at;
        if (byte == '"') {
            if (!skip_string(walk)) {
                return false;
            }
            continue;
        }
        walk->at++;
        if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && --depth == 0) {
            return true;
        }
    }
    return false;
}

static bool
skip_value(struct walk *walk)
{
    const char *from = walk->at;
    if (from == walk->end) {
        return false;
    }
    if (*from == '"') {
        return skip_string(walk);
    }
    if (*from == '{' || *from == '[') {
        return skip_nested(walk);
    }
    while (walk->at < walk->end && strchr(",}]\"", *walk->at) == NULL) {
        walk->at++;
    }
    return walk->at > from;
}

static bool
skip_byte(struct walk *walk, char byte)
{
    if (walk->at == walk->end || *walk->at != byte) {
        return false;
    }
    walk->at++;
    return true;
}

static struct walk
walk_of(struct span object)
{
    return (struct walk){.at = object.data, .end = object.data + object.size, .first = true};
}

/* False at the end, with *ret_error ERR_OK, or if the text is no object of ours. */
static bool
walk_next(struct walk *walk, struct member *ret_member, err_t *ret_error)
{
    *ret_error = ERR_CORRUPT;
    if (walk->first && !skip_byte(walk, '{')) {
        return false;
    }
    if (skip_byte(walk, '}')) {
        *ret_error = walk->at == walk->end ? ERR_OK : ERR_CORRUPT;
        return false;
    }
    if (!walk->first && !skip_byte(walk, ',')) {
        return false;
    }
    walk->first = false;
    const char *from = walk->at;
    if (!skip_string(walk)) {
        return false;
    }
    ret_member->name = span_of(from + 1, (size_t)(walk->at - from) - 2);
    if (!skip_byte(walk, ':')) {
        return false;
    }
    from = walk->at;
    if (!skip_value(walk)) {
        return false;
    }
    ret_member->value = span_of(from, (size_t)(walk->at - from));
    *ret_error = ERR_OK;
    return true;
}

static bool
is_cold(const struct document_kind *kind, struct span name)
{
    for (uint32_t i = 0; i < kind->cold_count; i++) {
        if (span_equal_cstr(name, kind->cold[i])) {
            return true;
        }
    }
    return false;
}

static bool
is_null(const struct member *member)
{
    return span_equal_cstr(member->value, "null");
}

/* ------------------------------------------------------------------------------------- writing */

static void
put(struct buf *out, struct span name, struct span value)
{
    buf_append_byte(out, out->size == 0 ? '{' : ',');
    buf_append_byte(out, '"');
    buf_append_span(out, name);
    buf_append_cstr(out, "\":");
    buf_append_span(out, value);
}

/* A text in the arena that will have `size` bytes at most. */
static err_t
text_begin(struct buf *out, struct arena *arena, size_t size)
{
    char *memory = arena_alloc(arena, size);
    if (memory == NULL) {
        return ERR_FULL;
    }
    buf_init_fixed(out, memory, size);
    return ERR_OK;
}

static struct span
text_end(struct buf *out)
{
    if (out->size == 0) {
        buf_append_byte(out, '{');
    }
    buf_append_byte(out, '}');
    ASSERT(!buf_failed(out)); /* its size was bounded */
    return buf_span(out);
}

/* ----------------------------------------------------------------------------------------- calls
 */

bool
document_cold_name(struct span hot, struct span *ret_name)
{
    const size_t from = sizeof(NAME_BEGIN) - 1;
    if (!span_starts_with(hot, SPAN(NAME_BEGIN))) {
        return false;
    }
    size_t to = span_find(hot, '"', from);
    *ret_name = span_slice(hot, from, to);
    return true;
}

err_t
document_cold_split(
    const struct document_kind *kind,
    struct span body,
    struct arena *arena,
    struct span *ret_hot,
    struct span *ret_cold)
{
    struct buf hot, cold;
    struct member member;
    struct walk walk = walk_of(body);
    err_t error;
    /* Each cold member leaves null, which may be longer than it was. */
    TRY(text_begin(&hot, arena, body.size + 4 * (size_t)kind->cold_count + 2));
    TRY(text_begin(&cold, arena, body.size + 2));
    while (walk_next(&walk, &member, &error)) {
        if (span_equal_cstr(member.name, DOCUMENT_COLD_NAME_MEMBER)) {
            return ERR_INVALID;
        }
        if (is_cold(kind, member.name) && !is_null(&member)) {
            put(&cold, member.name, member.value);
            member.value = SPAN("null");
        }
        put(&hot, member.name, member.value);
    }
    TRY(error);
    if (cold.size == 0) {
        *ret_hot = body;
        *ret_cold = SPAN_EMPTY;
        return ERR_OK;
    }
    *ret_hot = text_end(&hot);
    *ret_cold = text_end(&cold);
    return ERR_OK;
}

err_t
document_cold_put_name(struct span hot, struct span name, struct arena *arena, struct span *ret_hot)
{
    struct buf out;
    ASSERT(hot.size > 2 && hot.data[0] == '{' && name.size > 0);
    TRY(text_begin(&out, arena, sizeof(NAME_BEGIN) + name.size + hot.size + 1));
    buf_append_cstr(&out, NAME_BEGIN);
    buf_append_span(&out, name);
    buf_append_cstr(&out, "\",");
    buf_append_span(&out, span_slice(hot, 1, hot.size));
    ASSERT(!buf_failed(&out));
    *ret_hot = buf_span(&out);
    return ERR_OK;
}

/* The member of the cold part; false: it has none of this name. */
static bool
cold_find(struct span cold, struct span name, struct span *ret_value, err_t *ret_error)
{
    struct member member;
    struct walk walk = walk_of(cold);
    while (walk_next(&walk, &member, ret_error)) {
        if (span_equal(member.name, name)) {
            *ret_value = member.value;
            return true;
        }
    }
    return false;
}

err_t
document_cold_join(
    const struct document_kind *kind,
    struct span hot,
    struct span cold,
    struct arena *arena,
    struct span *ret_body)
{
    struct buf out;
    struct member member;
    struct walk walk = walk_of(hot);
    err_t error;
    TRY(text_begin(&out, arena, hot.size + cold.size + 2));
    while (walk_next(&walk, &member, &error)) {
        if (span_equal_cstr(member.name, DOCUMENT_COLD_NAME_MEMBER)) {
            continue;
        }
        if (is_cold(kind, member.name) && is_null(&member) &&
            !cold_find(cold, member.name, &member.value, &error)) {
            TRY(error);
        }
        put(&out, member.name, member.value);
    }
    TRY(error);
    *ret_body = text_end(&out);
    return ERR_OK;
}

err_t
document_cold_strip(
    const struct document_kind *kind, struct span hot, struct arena *arena, struct span *ret_body)
{
    struct buf out;
    struct member member;
    struct walk walk = walk_of(hot);
    err_t error;
    TRY(text_begin(&out, arena, hot.size + 2));
    while (walk_next(&walk, &member, &error)) {
        if (!span_equal_cstr(member.name, DOCUMENT_COLD_NAME_MEMBER) &&
            !is_cold(kind, member.name)) {
            put(&out, member.name, member.value);
        }
    }
    TRY(error);
    *ret_body = text_end(&out);
    return ERR_OK;
}

err_t
document_cold_keep(
    const struct document_kind *kind,
    struct span body,
    struct span stored,
    struct arena *arena,
    struct span *ret_hot)
{
    struct buf out;
    struct member member;
    struct walk walk = walk_of(stored);
    err_t error;
    TRY(text_begin(&out, arena, stored.size + body.size + 2));
    if (walk_next(&walk, &member, &error) &&
        span_equal_cstr(member.name, DOCUMENT_COLD_NAME_MEMBER)) {
        put(&out, member.name, member.value);
    }
    TRY(error);
    walk = walk_of(body);
    while (walk_next(&walk, &member, &error)) {
        if (is_cold(kind, member.name) || span_equal_cstr(member.name, DOCUMENT_COLD_NAME_MEMBER)) {
            return ERR_INVALID;
        }
        put(&out, member.name, member.value);
    }
    TRY(error);
    walk = walk_of(stored);
    while (walk_next(&walk, &member, &error)) {
        if (is_cold(kind, member.name)) {
            put(&out, member.name, member.value);
        }
    }
    TRY(error);
    *ret_hot = text_end(&out);
    return ERR_OK;
}
