/* tracestate: a list of members key=value (W3C Trace Context section 3.3). */
#include "tracecontext/tracecontext.h"

#include "base/assert.h"

#define KEY_MAX   256
#define VALUE_MAX 256

struct members {
    struct span all[TRACECONTEXT_MEMBERS_MAX];
    uint32_t count;
};

static bool
is_lower(char byte)
{
    return byte >= 'a' && byte <= 'z';
}

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Of keys, behind the first character (section 3.3.1.3.1). */
static bool
key_byte(char byte)
{
    return is_lower(byte) || is_digit(byte) || byte == '_' || byte == '-' || byte == '*' ||
           byte == '/' || byte == '@';
}

/* Level 2: 256 of them, where the first is a letter or a digit; every key of level 1 is one. */
static bool
key_is_valid(struct span key)
{
    if (key.size == 0 || key.size > KEY_MAX || !(is_lower(key.data[0]) || is_digit(key.data[0]))) {
        return false;
    }
    for (size_t i = 1; i < key.size; i++) {
        if (!key_byte(key.data[i])) {
            return false;
        }
    }
    return true;
}

/* Printable ASCII but comma and equals sign; the last one is no space (section 3.3.1.3.2). */
static bool
value_is_valid(struct span value)
{
    if (value.size == 0 || value.size > VALUE_MAX || value.data[value.size - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < value.size; i++) {
        char byte = value.data[i];
        if (byte < ' ' || byte > '~' || byte == ',' || byte == '=') {
            return false;
        }
    }
    return true;
}

static struct span
key_of(struct span member)
{
    return span_slice(member, 0, span_find(member, '=', 0));
}

static bool
member_add(struct members *members, struct span member)
{
    struct span key = key_of(member);
    if (key.size == member.size || !key_is_valid(key) ||
        !value_is_valid(span_slice(member, key.size + 1, member.size))) {
        return false;
    }
    for (uint32_t i = 0; i < members->count; i++) {
        if (span_equal(key_of(members->all[i]), key)) {
            return false;
        }
    }
    if (members->count == TRACECONTEXT_MEMBERS_MAX) {
        return false;
    }
    members->all[members->count++] = member;
    return true;
}

/* Members may be empty, with white space around them (section 3.3.1.2). */
static bool
header_read(struct span header, struct members *members)
{
    struct span rest = header;
    while (rest.size > 0) {
        struct span member = span_trim(span_cut(&rest, ','));
        if (member.size > 0 && !member_add(members, member)) {
            return false;
        }
    }
    return true;
}

static size_t
size_of(const struct members *members)
{
    size_t size = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        size += members->all[i].size + (i > 0);
    }
    return size;
}

static void
member_remove(struct members *members, uint32_t index)
{
    ASSERT(index < members->count);
    for (uint32_t i = index + 1; i < members->count; i++) {
        members->all[i - 1] = members->all[i];
    }
    members->count--;
}

/* Long ones first, from the end; then the last ones (section 3.3.1.5). */
static void
cut(struct members *members)
{
    for (uint32_t i = members->count; i > 0 && size_of(members) > TRACECONTEXT_STATE_MAX; i--) {
        if (members->all[i - 1].size > TRACECONTEXT_MEMBER_LONG) {
            member_remove(members, i - 1);
        }
    }
    while (size_of(members) > TRACECONTEXT_STATE_MAX) {
        member_remove(members, members->count - 1);
    }
}

bool
tracecontext_state_append(const struct span *headers, uint32_t header_count, struct buf *out)
{
    struct members members = {.count = 0};
    for (uint32_t i = 0; i < header_count; i++) {
        if (!header_read(headers[i], &members)) {
            return false;
        }
    }
    cut(&members);
    for (uint32_t i = 0; i < members.count; i++) {
        if (i > 0) {
            buf_append_byte(out, ',');
        }
        buf_append_span(out, members.all[i]);
    }
    return true;
}
