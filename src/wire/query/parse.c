/* Text to clauses, from left to right; the first thing that is wrong ends it. */
#include "query/query.h"

#include "base/assert.h"

#include <string.h>

struct parser {
    struct span text;
    size_t at;
    struct arena *arena;
    struct query *query;
    struct span message; /* of the failure */
};

/* ------------------------------------------------------------------------------- failing --- */

static uint32_t
character_of(const struct parser *parser, size_t at)
{
    uint32_t count = 1;
    for (size_t i = 0; i < at; i++) {
        count += ((unsigned char)parser->text.data[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    return count;
}

static err_t
fail_full(struct parser *parser)
{
    parser->message = SPAN("The query does not fit into memory.");
    return ERR_FULL;
}

static err_t
fail_at(struct parser *parser, size_t at, const char *problem)
{
    parser->message = arena_format(
        parser->arena,
        "We were unable to parse your search query at character %u: %s. Use the format "
        "metadata[\"key\"]:\"value\" to query for metadata, or key:\"value\" to query for other "
        "fields.",
        character_of(parser, at),
        problem);
    ASSERT(parser->message.size < QUERY_MESSAGE_SIZE);
    return parser->message.size == 0 ? fail_full(parser) : ERR_INVALID;
}

/* ------------------------------------------------------------------------------- reading --- */

static bool
at_end(const struct parser *parser)
{
    return parser->at == parser->text.size;
}

/* Zero at the end: a query holds none. */
static char
peek(const struct parser *parser)
{
    return at_end(parser) ? '\0' : parser->text.data[parser->at];
}

static bool
is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

/* Behind it a name, a keyword or a bare value has ended. */
static bool
is_word(char byte)
{
    return is_letter(byte) || is_digit(byte);
}

static bool
skip_byte(struct parser *parser, char byte)
{
    if (peek(parser) != byte) {
        return false;
    }
    parser->at++;
    return true;
}

/* True if there was one. */
static bool
skip_spaces(struct parser *parser)
{
    size_t from = parser->at;
    while (is_space(peek(parser))) {
        parser->at++;
    }
    return parser->at > from;
}

static struct span
read_word(struct parser *parser)
{
    size_t from = parser->at;
    while (is_word(peek(parser))) {
        parser->at++;
    }
    return span_slice(parser->text, from, parser->at);
}

/* The text between two quotes, the first of which comes next. */
static err_t
read_quoted(struct parser *parser, struct span *ret_text)
{
    size_t opening = parser->at;
    char quote = parser->text.data[parser->at++];
    size_t from = parser->at;
    size_t escapes = 0;
    while (peek(parser) != quote) {
        if (at_end(parser)) {
            return fail_at(parser, opening, "this quotation mark is never closed");
        }
        if (skip_byte(parser, '\\')) {
            char escaped = peek(parser);
            if (escaped != '"' && escaped != '\'' && escaped != '\\') {
                return fail_at(
                    parser,
                    parser->at - 1,
                    "a backslash stands before \", ' or \\ only; double it");
            }
            escapes++;
        }
        parser->at++;
    }
    struct span raw = span_slice(parser->text, from, parser->at);
    parser->at++;
    if (raw.size == 0) {
        return fail_at(parser, opening, "a text is empty; null finds what is not set");
    }
    if (escapes == 0) {
        *ret_text = raw;
        return ERR_OK;
    }
    char *out = arena_alloc(parser->arena, raw.size);
    if (out == NULL) {
        return fail_full(parser);
    }
    size_t size = 0;
    for (size_t i = 0; i < raw.size; i++) {
        i += raw.data[i] == '\\' ? 1 : 0;
        out[size++] = raw.data[i];
    }
    ASSERT(size == raw.size - escapes);
    *ret_text = span_of(out, size);
    return ERR_OK;
}

/* ------------------------------------------------------------------------------- a clause --- */

static bool
is_keyword(struct span word)
{
    return span_equal_nocase(word, SPAN("and")) || span_equal_nocase(word, SPAN("or"));
}

static err_t
read_field(struct parser *parser, struct query_clause *clause)
{
    size_t from = parser->at;
    do {
        if (peek(parser) == '(' || peek(parser) == ')') {
            return fail_at(parser, parser->at, "parentheses are not supported");
        }
        if (!is_letter(peek(parser))) {
            return fail_at(parser, parser->at, "a field's name is expected here");
        }
        if (is_keyword(read_word(parser))) {
            return fail_at(parser, from, "a field's name is expected here");
        }
    } while (skip_byte(parser, '.'));
    clause->field = span_slice(parser->text, from, parser->at);
    if (clause->field.size > QUERY_FIELD_MAX) {
        return fail_at(parser, from, "no field's name is as long as this one");
    }
    if (!skip_byte(parser, '[')) {
        return ERR_OK;
    }
    if (peek(parser) != '"' && peek(parser) != '\'') {
        return fail_at(parser, parser->at, "a key in quotation marks is expected here");
    }
    TRY(read_quoted(parser, &clause->key));
    if (!skip_byte(parser, ']')) {
        return fail_at(parser, parser->at, "] is expected here");
    }
    return ERR_OK;
}

static err_t
read_operator(struct parser *parser, struct query_clause *clause)
{
    size_t from = parser->at;
    if (skip_byte(parser, ':') || skip_byte(parser, '=')) {
        clause->operation = QUERY_EQUAL;
    } else if (skip_byte(parser, '~')) {
        clause->operation = QUERY_CONTAINS;
    } else if (skip_byte(parser, '>')) {
        clause->operation = skip_byte(parser, '=') ? QUERY_GREATER_EQUAL : QUERY_GREATER;
    } else if (skip_byte(parser, '<')) {
        clause->operation = skip_byte(parser, '=') ? QUERY_LESS_EQUAL : QUERY_LESS;
    } else {
        return fail_at(parser, from, "an operator (: ~ > >= < <=) is expected here");
    }
    return ERR_OK;
}

static bool
is_whole_number(struct span text)
{
    size_t digits = text.size > 0 && text.data[0] == '-' ? 1 : 0;
    for (size_t i = digits; i < text.size; i++) {
        if (!is_digit(text.data[i])) {
            return false;
        }
    }
    return text.size > digits;
}

/* A value without quotation marks. */
static err_t
read_bare(struct parser *parser, struct query_clause *clause)
{
    size_t from = parser->at;
    (void)skip_byte(parser, '-');
    (void)read_word(parser);
    struct span word = span_slice(parser->text, from, parser->at);
    if (word.size == 0) {
        return fail_at(parser, from, "a value is expected here");
    }
    if (span_equal_nocase(word, SPAN("null"))) {
        clause->kind = QUERY_NULL;
        clause->value = SPAN_EMPTY;
        return clause->operation == QUERY_EQUAL
                   ? ERR_OK
                   : fail_at(parser, from, "null stands behind : only");
    }
    clause->kind = QUERY_WORD;
    clause->value = word;
    if (is_whole_number(word) && peek(parser) == '.') {
        return fail_at(parser, from, "numbers are whole");
    }
    if (is_whole_number(word) || span_equal_cstr(word, "true") || span_equal_cstr(word, "false")) {
        return ERR_OK;
    }
    return fail_at(parser, from, "texts stand between quotation marks");
}

static size_t
count_characters(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    return count;
}

static err_t
read_value(struct parser *parser, struct query_clause *clause)
{
    size_t from = parser->at;
    if (peek(parser) == '"' || peek(parser) == '\'') {
        clause->kind = QUERY_TEXT;
        TRY(read_quoted(parser, &clause->value));
    } else {
        TRY(read_bare(parser, clause));
    }
    if (clause->operation == QUERY_CONTAINS &&
        count_characters(clause->value) < QUERY_CONTAINS_MIN) {
        return fail_at(parser, from, "~ looks for three characters or more");
    }
    return ERR_OK;
}

static err_t
read_clause(struct parser *parser)
{
    struct query *query = parser->query;
    if (query->count == QUERY_CLAUSES_MAX) {
        return fail_at(parser, parser->at, "a query has ten clauses at most");
    }
    struct query_clause *clause = &query->clauses[query->count];
    *clause = (struct query_clause){.character = character_of(parser, parser->at)};
    clause->negated = skip_byte(parser, '-');
    TRY(read_field(parser, clause));
    (void)skip_spaces(parser);
    TRY(read_operator(parser, clause));
    (void)skip_spaces(parser);
    TRY(read_value(parser, clause));
    query->count++;
    return ERR_OK;
}

/* -------------------------------------------------------------------------- between clauses --- */

/* AND or OR, or nothing, which is AND. The next clause follows. */
static err_t
read_joint(struct parser *parser)
{
    size_t from = parser->at;
    struct span word = read_word(parser);
    bool any = span_equal_nocase(word, SPAN("or"));
    if (!is_keyword(word)) {
        parser->at = from; /* it begins the clause */
    }
    if (parser->at > from && !skip_spaces(parser)) {
        return fail_at(
            parser, parser->at, at_end(parser) ? "a clause is missing" : "a space is missing");
    }
    if (at_end(parser)) {
        return fail_at(parser, parser->at, "a clause is missing");
    }
    if (parser->query->count > 1 && any != parser->query->any) {
        return fail_at(parser, from, "AND and OR do not mix in one query");
    }
    parser->query->any = any;
    return ERR_OK;
}

static err_t
read_all(struct parser *parser)
{
    if (!span_is_utf8(parser->text) ||
        (parser->text.size > 0 && memchr(parser->text.data, 0, parser->text.size) != NULL)) {
        parser->message = SPAN("The search query is not UTF-8 text.");
        return ERR_INVALID;
    }
    if (count_characters(parser->text) > QUERY_SIZE_MAX) {
        return fail_at(parser, 0, "it is too long");
    }
    (void)skip_spaces(parser);
    if (at_end(parser)) {
        return fail_at(parser, parser->at, "it has no clause");
    }
    TRY(read_clause(parser));
    while (!at_end(parser)) {
        if (!skip_spaces(parser)) {
            return fail_at(
                parser,
                parser->at,
                peek(parser) == '(' || peek(parser) == ')' ? "parentheses are not supported"
                                                           : "a space is missing");
        }
        if (!at_end(parser)) {
            TRY(read_joint(parser));
            TRY(read_clause(parser));
        }
    }
    return ERR_OK;
}

err_t
query_parse(
    struct span text, struct arena *arena, struct query *ret_query, struct span *ret_message)
{
    struct query query = {.count = 0};
    struct parser parser = {.text = text, .arena = arena, .query = &query};
    err_t error = read_all(&parser);
    if (error != ERR_OK) {
        ASSERT(parser.message.size > 0);
        *ret_message = parser.message;
        return error;
    }
    ASSERT(query.count >= 1 && query.count <= QUERY_CLAUSES_MAX); /* QUERY-1 */
    *ret_query = query;
    return ERR_OK;
}
