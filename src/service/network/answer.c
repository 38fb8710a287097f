/* Answers: the host's side builds them, the client's side reads them. */
#include "codes.h"
#include "message.h"

#include "base/assert.h"

#include <string.h>

static const char outcomes[] = {
    [PORT_RAIL_APPROVED] = 'A',
    [PORT_RAIL_DECLINED] = 'D',
    [PORT_RAIL_PENDING] = 'P',
    [PORT_RAIL_FAILED] = 'F',
    [PORT_RAIL_NOT_FOUND] = 'N',
    [PORT_RAIL_UNKNOWN] = '?', /* never sent */
    [PORT_RAIL_CHALLENGE] = 'C',
};
static const char checks[] = {
    [PORT_RAIL_CHECK_NONE] = 'N',
    [PORT_RAIL_CHECK_PASS] = 'P',
    [PORT_RAIL_CHECK_FAIL] = 'F',
    [PORT_RAIL_CHECK_UNAVAILABLE] = 'U',
};
static const char proofs[] = {
    [PORT_RAIL_PROOF_NONE] = 'N',
    [PORT_RAIL_PROOF_AUTHENTICATED] = 'A',
    [PORT_RAIL_PROOF_ATTEMPTED] = 'T',
    [PORT_RAIL_PROOF_NOT_SUPPORTED] = 'S',
    [PORT_RAIL_PROOF_ERROR] = 'E',
};

/* The position of a letter; false if it has none. */
static bool
letter_find(const char *letters, size_t count, char letter, unsigned *ret_index)
{
    const char *at = memchr(letters, letter, count);
    if (at == NULL) {
        return false;
    }
    *ret_index = (unsigned)(at - letters);
    return true;
}

/* -------------------------------------------------------------------------- the host writes --- */

static const uint8_t echoed[] = {3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49, 70};

void
network_echo_take(const struct iso8583_message *request, struct network_echo *ret_echo)
{
    size_t used = 0;
    static_assert(sizeof(echoed) == sizeof(ret_echo->fields), "room for all");
    memset(ret_echo, 0, sizeof(*ret_echo));
    ret_echo->type = network_answer_type(request->type);
    for (size_t i = 0; i < sizeof(echoed); i++) {
        struct span value = iso8583_get(request, echoed[i]);
        if (iso8583_has(request, echoed[i])) {
            ASSERT(value.size <= sizeof(ret_echo->text) - used);
            ret_echo->fields[ret_echo->count] = echoed[i];
            ret_echo->sizes[ret_echo->count] = (uint8_t)value.size;
            ret_echo->count++;
            if (value.size > 0) {
                memcpy(ret_echo->text + used, value.data, value.size);
            }
            used += value.size;
        }
    }
}

static err_t
set_echo(const struct network_echo *echo, struct iso8583_message *message)
{
    size_t at = 0;
    iso8583_init(message, echo->type);
    for (size_t i = 0; i < echo->count; i++) {
        TRY(iso8583_set(message, echo->fields[i], span_of(echo->text + at, echo->sizes[i])));
        at += echo->sizes[i];
    }
    return ERR_OK;
}

err_t
network_refusal_build(
    const struct network_echo *echo, const char *code, struct iso8583_message *message)
{
    TRY(set_echo(echo, message));
    return iso8583_set_padded(message, 39, span_from_cstr(code));
}

static const char *
code_of(enum port_rail_operation operation, const struct port_rail_answer *answer)
{
    switch (answer->outcome) {
    case PORT_RAIL_APPROVED:
    case PORT_RAIL_PENDING:
    case PORT_RAIL_FAILED: /* later, after all: the element says so */
        return "00";
    case PORT_RAIL_DECLINED:
        if (answer->network_code[0] != '\0') {
            return answer->network_code;
        }
        /* An answer to a dispute that comes too late is no suspicion of fraud. */
        return network_is_contest(operation) ? "21" : "59";
    case PORT_RAIL_NOT_FOUND:
        return "25";
    case PORT_RAIL_CHALLENGE:
        return "1A";
    case PORT_RAIL_UNKNOWN:
        break;
    }
    UNREACHABLE();
}

static void
append_decline(struct buf *out, const struct port_rail_answer *answer, const char *code)
{
    const struct network_code *known = network_code_find(span_from_cstr(code));
    char memory[128];
    struct buf text;
    if (known->error_code != NULL && strcmp(known->error_code, answer->error_code) == 0 &&
        strcmp(known->decline_code, answer->decline_code) == 0 &&
        strcmp(known->advice_code, answer->advice_code) == 0) {
        return;
    }
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_format(
        &text, "%s,%s,%s", answer->error_code, answer->decline_code, answer->advice_code);
    iso8583_element_append(out, NETWORK_DECLINE, buf_span(&text));
}

static void
append_details(struct buf *out, const struct port_rail_answer *answer)
{
    char memory[128];
    struct buf text;
    const char letters[] = {
        checks[answer->cvc_check],
        checks[answer->address_check],
        checks[answer->postal_code_check],
    };
    iso8583_element_append(out, NETWORK_CHECKS, span_of(letters, sizeof(letters)));
    iso8583_element_append(out, NETWORK_PROOF, span_of(&proofs[answer->proof], 1));
    if (answer->risk_level[0] != '\0') {
        buf_init_fixed(&text, memory, sizeof(memory));
        buf_append_format(&text, "%s,%u", answer->risk_level, (unsigned)answer->risk_score);
        iso8583_element_append(out, NETWORK_RISK, buf_span(&text));
    }
    buf_init_fixed(&text, memory, sizeof(memory));
    bool blocked = answer->outcome == PORT_RAIL_DECLINED && answer->network_code[0] == '\0';
    buf_append_format(
        &text,
        "%s%s%s%s",
        answer->straight_to_available ? "B" : "",
        answer->captured ? "C" : "",
        answer->voided ? "V" : "",
        blocked ? "X" : "");
    if (text.size > 0) {
        iso8583_element_append(out, NETWORK_STATE, buf_span(&text));
    }
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_i64(&text, answer->authorized_amount);
    buf_append_byte(&text, ',');
    buf_append_i64(&text, answer->captured_amount);
    buf_append_byte(&text, ',');
    buf_append_i64(&text, answer->refunded_amount);
    buf_append_byte(&text, ',');
    buf_append_i64(&text, answer->disputed_amount);
    buf_append_byte(&text, ',');
    buf_append_i64(&text, answer->reinstated_amount);
    iso8583_element_append(out, NETWORK_AMOUNTS, buf_span(&text));
    if (answer->network_transaction_id[0] != '\0') {
        iso8583_element_append(
            out, NETWORK_TRANSACTION, span_from_cstr(answer->network_transaction_id));
    }
}

err_t
network_answer_build(
    const struct network_echo *echo,
    enum port_rail_operation operation,
    const struct port_rail_answer *answer,
    struct iso8583_message *message)
{
    char memory[NETWORK_ELEMENTS_MAX];
    struct buf out;
    const char *code = code_of(operation, answer);
    TRY(network_refusal_build(echo, code, message));
    if (answer->authorization_code[0] != '\0') {
        TRY(iso8583_set_padded(message, 38, span_from_cstr(answer->authorization_code)));
    }
    buf_init_fixed(&out, memory, sizeof(memory));
    iso8583_element_append(&out, NETWORK_OUTCOME, span_of(&outcomes[answer->outcome], 1));
    if (operation == PORT_RAIL_NEWS) {
        network_notice_append(&out, &answer->notice);
    } else if (!network_is_contest(operation)) {
        if (answer->outcome == PORT_RAIL_DECLINED) {
            append_decline(&out, answer, code);
        }
        append_details(&out, answer);
    }
    ASSERT(!buf_failed(&out));
    return iso8583_set(message, 48, buf_span(&out));
}

/* ------------------------------------------------------------------------ the client reads --- */

/* Words that go on to merchants: small letters and underscores; others are left out. */
static void
copy_word(char *out, size_t size, struct span text)
{
    bool good = text.size < size;
    for (size_t i = 0; i < text.size; i++) {
        good = good && ((text.data[i] >= 'a' && text.data[i] <= 'z') || text.data[i] == '_');
    }
    if (!good) {
        text = SPAN_EMPTY;
    }
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
}

/* The same of letters and digits; spaces that pad are left out. */
static void
copy_code(char *out, size_t size, struct span text)
{
    size_t used = 0;
    for (size_t i = 0; i < text.size && used + 1 < size; i++) {
        char c = text.data[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
            out[used++] = c;
        }
    }
    out[used] = '\0';
}

/* DE 39 without Tael's elements, as any host sends it. */
static enum port_rail_outcome
outcome_of(const struct network_code *code, struct span text, const struct port_rail_request *rail)
{
    bool advice = network_may_repeat(rail->operation);
    if (code->error_code == NULL) {
        return PORT_RAIL_APPROVED;
    }
    if (span_equal_cstr(text, "1A") && rail->operation == PORT_RAIL_AUTHORIZE &&
        rail->may_challenge) {
        return PORT_RAIL_CHALLENGE;
    }
    if (span_equal_cstr(text, "25") && rail->operation != PORT_RAIL_AUTHORIZE) {
        return PORT_RAIL_NOT_FOUND;
    }
    if (span_equal_cstr(text, "21") && rail->operation == PORT_RAIL_VOID) {
        return PORT_RAIL_NOT_FOUND;
    }
    if (span_equal_cstr(text, "09") || span_equal_cstr(text, "68")) {
        return PORT_RAIL_UNKNOWN;
    }
    if (advice && (span_equal_cstr(text, "91") || span_equal_cstr(text, "96"))) {
        return PORT_RAIL_UNKNOWN;
    }
    return PORT_RAIL_DECLINED;
}

static void
read_decline(struct span elements, const struct network_code *code, struct port_rail_answer *answer)
{
    struct span text;
    if (iso8583_element_find(elements, NETWORK_DECLINE, &text)) {
        copy_word(answer->error_code, sizeof(answer->error_code), span_cut(&text, ','));
        copy_word(answer->decline_code, sizeof(answer->decline_code), span_cut(&text, ','));
        copy_word(answer->advice_code, sizeof(answer->advice_code), text);
    }
    if (answer->error_code[0] == '\0' || answer->decline_code[0] == '\0') {
        bool none = code->error_code == NULL;
        copy_word(
            answer->error_code,
            sizeof(answer->error_code),
            span_from_cstr(none ? "processing_error" : code->error_code));
        copy_word(
            answer->decline_code,
            sizeof(answer->decline_code),
            span_from_cstr(none ? "processing_error" : code->decline_code));
        copy_word(
            answer->advice_code, sizeof(answer->advice_code), span_from_cstr(code->advice_code));
    }
}

static void
read_checks(struct span elements, struct port_rail_answer *answer)
{
    struct span text;
    unsigned found[3];
    if (iso8583_element_find(elements, NETWORK_CHECKS, &text) && text.size == 3 &&
        letter_find(checks, sizeof(checks), text.data[0], &found[0]) &&
        letter_find(checks, sizeof(checks), text.data[1], &found[1]) &&
        letter_find(checks, sizeof(checks), text.data[2], &found[2])) {
        answer->cvc_check = (enum port_rail_check)found[0];
        answer->address_check = (enum port_rail_check)found[1];
        answer->postal_code_check = (enum port_rail_check)found[2];
    }
    if (iso8583_element_find(elements, NETWORK_PROOF, &text) && text.size == 1 &&
        letter_find(proofs, sizeof(proofs), text.data[0], &found[0])) {
        answer->proof = (enum port_rail_proof)found[0];
    }
}

static bool
read_amount(struct span text, int64_t *ret_amount)
{
    return span_parse_i64(text, ret_amount) && *ret_amount >= 0;
}

/* False: they are no amounts. */
static bool
read_amounts(struct span elements, struct port_rail_answer *answer)
{
    struct span text;
    if (!iso8583_element_find(elements, NETWORK_AMOUNTS, &text)) {
        return true;
    }
    if (!read_amount(span_cut(&text, ','), &answer->authorized_amount) ||
        !read_amount(span_cut(&text, ','), &answer->captured_amount) ||
        !read_amount(span_cut(&text, ','), &answer->refunded_amount)) {
        return false;
    }
    return text.size == 0 || /* a host without disputes */
           (read_amount(span_cut(&text, ','), &answer->disputed_amount) &&
            read_amount(text, &answer->reinstated_amount));
}

static void
read_details(struct span elements, struct port_rail_answer *answer)
{
    struct span text;
    uint64_t score;
    read_checks(elements, answer);
    if (iso8583_element_find(elements, NETWORK_RISK, &text)) {
        copy_word(answer->risk_level, sizeof(answer->risk_level), span_cut(&text, ','));
        if (span_parse_u64(text, &score) && score <= 100) {
            answer->risk_score = (uint8_t)score;
        }
    }
    if (iso8583_element_find(elements, NETWORK_STATE, &text)) {
        answer->straight_to_available = span_find(text, 'B', 0) < text.size;
        answer->captured = span_find(text, 'C', 0) < text.size;
        answer->voided = span_find(text, 'V', 0) < text.size;
        if (span_find(text, 'X', 0) < text.size) {
            answer->network_code[0] = '\0';
        }
    }
    if (iso8583_element_find(elements, NETWORK_TRANSACTION, &text)) {
        copy_code(answer->network_transaction_id, sizeof(answer->network_transaction_id), text);
    }
}

bool
network_answer_read(
    const struct iso8583_message *message,
    const struct port_rail_request *rail,
    struct port_rail_answer *ret_answer)
{
    struct span elements = iso8583_get(message, 48);
    struct span text = iso8583_get(message, 39);
    const struct network_code *code = network_code_find(text);
    unsigned outcome;
    memset(ret_answer, 0, sizeof(*ret_answer));
    if (text.size != 2) {
        return false;
    }
    ret_answer->outcome = outcome_of(code, text, rail);
    struct span letter;
    if (iso8583_element_find(elements, NETWORK_OUTCOME, &letter)) {
        if (letter.size != 1 || letter.data[0] == outcomes[PORT_RAIL_UNKNOWN] ||
            !letter_find(outcomes, sizeof(outcomes), letter.data[0], &outcome)) {
            return false;
        }
        /* The two must not contradict each other. */
        bool approves = outcome == PORT_RAIL_APPROVED || outcome == PORT_RAIL_PENDING ||
                        outcome == PORT_RAIL_FAILED;
        if (approves != (code->error_code == NULL)) {
            return false;
        }
        ret_answer->outcome = (enum port_rail_outcome)outcome;
    }
    if (ret_answer->outcome == PORT_RAIL_DECLINED) {
        copy_code(ret_answer->network_code, sizeof(ret_answer->network_code), text);
        read_decline(elements, code, ret_answer);
    }
    copy_code(
        ret_answer->authorization_code,
        sizeof(ret_answer->authorization_code),
        iso8583_get(message, 38));
    read_details(elements, ret_answer);
    if (rail->operation == PORT_RAIL_NEWS && ret_answer->outcome == PORT_RAIL_APPROVED &&
        !network_notice_read(elements, rail->position, &ret_answer->notice)) {
        return false;
    }
    return read_amounts(elements, ret_answer);
}
