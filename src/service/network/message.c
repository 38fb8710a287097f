/* Requests: the client's side builds them, the host's side reads them. */
#include "message.h"

#include "base/assert.h"
#include "base/hash.h"

#include <string.h>
#include <time.h>

#define ID_DIGITS 32

/* DE 3: what kind of transaction. */
#define PROCESS_PURCHASE 0u
#define PROCESS_REFUND   200000u

/* DE 22: e-commerce, or a card on file; without a PIN. DE 25: e-commerce, or only a verification.
 */
#define ENTRY_ECOMMERCE     812u
#define ENTRY_ON_FILE       102u
#define CONDITION_ECOMMERCE 59u
#define CONDITION_VERIFIES  51u

uint64_t
network_date_time(uint64_t unix_s)
{
    struct tm at;
    time_t seconds = (time_t)unix_s;
    if (gmtime_r(&seconds, &at) == NULL) {
        return 101000000; /* the first of January */
    }
    uint64_t date = (uint64_t)(at.tm_mon + 1) * 100 + (uint64_t)at.tm_mday;
    uint64_t clock = (uint64_t)at.tm_hour * 10000 + (uint64_t)at.tm_min * 100 + (uint64_t)at.tm_sec;
    return date * 1000000 + clock;
}

bool
network_trace_read(const struct iso8583_message *message, struct network_trace *ret_trace)
{
    uint64_t stan;
    uint64_t date_time;
    if (!iso8583_get_number(message, 11, &stan) || !iso8583_get_number(message, 7, &date_time)) {
        return false;
    }
    *ret_trace = (struct network_trace){.stan = (uint32_t)stan, .date_time = date_time};
    return true;
}

uint16_t
network_request_type(const struct port_rail_request *rail, bool repeat)
{
    uint16_t origin = repeat ? 1 : 0;
    switch (rail->operation) {
    case PORT_RAIL_AUTHORIZE:
        return (uint16_t)((rail->capture ? 200 : 100) + origin);
    case PORT_RAIL_INCREMENT:
        return (uint16_t)(100 + origin);
    case PORT_RAIL_CAPTURE:
        return (uint16_t)(220 + origin);
    case PORT_RAIL_VOID:
        return (uint16_t)(420 + origin);
    case PORT_RAIL_REFUND:
    case PORT_RAIL_PAY:
        return (uint16_t)(200 + origin);
    case PORT_RAIL_REPORT:
    case PORT_RAIL_NEWS:
        return (uint16_t)(600 + origin);
    case PORT_RAIL_EVIDENCE:
    case PORT_RAIL_ACCEPT:
        return (uint16_t)(620 + origin);
    }
    UNREACHABLE();
}

uint16_t
network_answer_type(uint16_t request_type)
{
    return (uint16_t)(request_type - request_type % 10 + 10);
}

bool
network_may_repeat(enum port_rail_operation operation)
{
    return operation == PORT_RAIL_CAPTURE || operation == PORT_RAIL_VOID ||
           network_is_contest(operation) || network_is_inquiry(operation);
}

bool
network_is_inquiry(enum port_rail_operation operation)
{
    return operation == PORT_RAIL_REPORT || operation == PORT_RAIL_NEWS;
}

bool
network_is_contest(enum port_rail_operation operation)
{
    return operation == PORT_RAIL_EVIDENCE || operation == PORT_RAIL_ACCEPT;
}

/* Of what moves or holds money. */
static bool
has_amount(enum port_rail_operation operation)
{
    return !network_is_inquiry(operation) && !network_is_contest(operation);
}

void
network_reference(u128 id, char out[12])
{
    uint64_t value = hash_u128(id);
    for (size_t i = 0; i < 12; i++) {
        out[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[value % 36];
        value /= 36;
    }
}

/* The operation whose DE 37 this is: an authorization gives it to all that follows, a dispute to
 * its answers. */
static u128
family_of(const struct port_rail_request *rail)
{
    return rail->operation == PORT_RAIL_AUTHORIZE ? rail->id : rail->original_id;
}

/* --- DE 48 --- */

void
network_id_append(struct buf *out, unsigned tag, u128 id)
{
    char text[ID_DIGITS];
    for (size_t i = ID_DIGITS; i > 0; i--) {
        text[i - 1] = "0123456789abcdef"[(unsigned)id & 0xf];
        id >>= 4;
    }
    iso8583_element_append(out, tag, span_of(text, sizeof(text)));
}

#define TEXT_MAX 64

/* Printable ASCII only, cut to `size`: what others are is shown as a question mark. */
static struct span
plain_text(struct span text, size_t size, char out[TEXT_MAX])
{
    ASSERT(size <= TEXT_MAX);
    text = span_slice(text, 0, size);
    for (size_t i = 0; i < text.size; i++) {
        bool printable = text.data[i] >= ' ' && text.data[i] < 0x7f;
        out[i] = printable ? text.data[i] : '?';
    }
    return span_of(out, text.size);
}

/* Nothing, if there is none. */
static void
append_text(struct buf *out, unsigned tag, struct span text, size_t size)
{
    char plain[TEXT_MAX];
    if (text.size > 0) {
        iso8583_element_append(out, tag, plain_text(text, size, plain));
        explicit_bzero(plain, sizeof(plain)); /* it may be the CVC */
    }
}

static void
append_card_elements(struct buf *out, const struct network_request *request)
{
    const struct port_rail_request *rail = request->rail;
    char flags[4];
    size_t count = 0;

    const struct {
        bool set;
        char letter;
    } all[] = {
        {rail->off_session, 'O'},
        {rail->may_challenge, 'C'},
        {rail->wants_proof, 'W'},
        {rail->sets_up, 'S'},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].set) {
            flags[count++] = all[i].letter;
        }
    }
    if (count > 0) {
        iso8583_element_append(out, NETWORK_FLAGS, span_of(flags, count));
    }
    if (rail->original_id != 0) {
        network_id_append(out, NETWORK_CHALLENGE, rail->original_id);
    }
    if (rail->agreement_id != 0) {
        network_id_append(out, NETWORK_AGREEMENT, rail->agreement_id);
    }
    append_text(out, NETWORK_CVC, span_from_cstr(request->card->cvc), sizeof(request->card->cvc));
    append_text(out, NETWORK_POSTAL_CODE, rail->postal_code, 16);
    append_text(out, NETWORK_ADDRESS, rail->address_line1, 40);
}

static void
append_dispute_elements(struct buf *out, const struct network_request *request)
{
    const struct port_rail_request *rail = request->rail;
    char memory[20];
    struct buf text;
    bool takes = rail->operation == PORT_RAIL_CAPTURE ||
                 (rail->operation == PORT_RAIL_AUTHORIZE && rail->capture);
    if (takes && rail->reference != 0) {
        network_id_append(out, NETWORK_REFERENCE, rail->reference);
    }
    if (rail->operation == PORT_RAIL_NEWS) {
        buf_init_fixed(&text, memory, sizeof(memory));
        buf_append_u64(&text, rail->position);
        iso8583_element_append(out, NETWORK_POSITION, buf_span(&text));
    }
    if (network_is_contest(rail->operation)) {
        network_contest_append(out, rail, request->part);
    }
}

static err_t
set_private(const struct network_request *request, struct iso8583_message *message)
{
    char memory[NETWORK_ELEMENTS_MAX];
    struct buf out;
    const struct port_rail_request *rail = request->rail;
    buf_init_fixed(&out, memory, sizeof(memory));
    if (!network_is_inquiry(rail->operation)) {
        network_id_append(&out, NETWORK_ID, rail->id);
    }
    if (rail->operation == PORT_RAIL_AUTHORIZE) {
        append_card_elements(&out, request);
    } else if (rail->operation != PORT_RAIL_NEWS) {
        network_id_append(&out, NETWORK_ORIGINAL, rail->original_id);
    }
    append_dispute_elements(&out, request);
    ASSERT(!buf_failed(&out));
    err_t result = iso8583_set(message, 48, buf_span(&out));
    explicit_bzero(memory, sizeof(memory));
    return result;
}

/* --- building --- */

/* The sender and the moment: DE 7, 11, 12, 13, 32, 41. */
static err_t
set_trace(
    const struct network_identity *identity,
    const struct network_trace *trace,
    struct iso8583_message *message)
{
    TRY(iso8583_set_number(message, 7, trace->date_time));
    TRY(iso8583_set_number(message, 11, trace->stan));
    TRY(iso8583_set_number(message, 12, trace->date_time % 1000000));
    TRY(iso8583_set_number(message, 13, trace->date_time / 1000000));
    TRY(iso8583_set(message, 32, span_from_cstr(identity->acquirer)));
    return iso8583_set_padded(message, 41, span_from_cstr(identity->terminal));
}

static err_t
set_card(const struct network_request *request, struct iso8583_message *message)
{
    const struct port_rail_request *rail = request->rail;
    const struct port_network_card *card = request->card;
    char descriptor[TEXT_MAX];
    TRY(iso8583_set(message, 2, span_from_cstr(card->number)));
    TRY(iso8583_set_number(message, 14, card->exp_year % 100U * 100 + card->exp_month));
    TRY(iso8583_set_number(message, 18, request->identity->category));
    TRY(iso8583_set_number(message, 22, rail->off_session ? ENTRY_ON_FILE : ENTRY_ECOMMERCE));
    TRY(iso8583_set_number(
        message, 25, rail->amount.amount == 0 ? CONDITION_VERIFIES : CONDITION_ECOMMERCE));
    struct span name = plain_text(rail->statement_descriptor, 40, descriptor);
    return iso8583_set_padded(message, 43, name);
}

/* DE 90: zeros for what is not known any more, or is nobody's. */
static err_t
set_original(const struct network_request *request, struct iso8583_message *message)
{
    char text[42];
    struct buf out;
    uint64_t acquirer = 0;
    (void)span_parse_u64(span_from_cstr(request->identity->acquirer), &acquirer);
    buf_init_fixed(&out, text, sizeof(text));
    buf_append_format(
        &out,
        "%04u%06u%010llu%011llu%011u",
        (unsigned)request->original_type,
        (unsigned)request->original.stan,
        (unsigned long long)request->original.date_time,
        (unsigned long long)acquirer,
        0U);
    return iso8583_set(message, 90, buf_span(&out));
}

/* The merchant, DE 42. */
static err_t
set_merchant(uint64_t scope, struct iso8583_message *message)
{
    char text[NETWORK_SCOPE_DIGITS];
    network_scope_write(scope, text);
    return iso8583_set(message, 42, span_of(text, sizeof(text)));
}

err_t
network_request_build(const struct network_request *request, struct iso8583_message *message)
{
    const struct port_rail_request *rail = request->rail;
    char reference[12];
    bool evidence = rail->operation == PORT_RAIL_EVIDENCE;
    if (evidence && (rail->evidence.size > NETWORK_EVIDENCE_MAX ||
                     request->part > network_part_count(rail->evidence))) {
        return ERR_RANGE;
    }
    iso8583_init(message, network_request_type(rail, request->repeat));
    TRY(set_trace(request->identity, &request->trace, message));
    network_reference(family_of(rail), reference);
    TRY(iso8583_set(message, 37, span_of(reference, sizeof(reference))));
    TRY(set_merchant(rail->scope, message));
    TRY(set_private(request, message));
    if (!has_amount(rail->operation)) {
        return evidence ? network_part_set(rail->evidence, request->part, message) : ERR_OK;
    }
    if (rail->amount.amount < 0 || rail->amount.amount > NETWORK_AMOUNT_MAX) {
        return ERR_RANGE;
    }
    bool refund = rail->operation == PORT_RAIL_REFUND;
    TRY(iso8583_set_number(message, 3, refund ? PROCESS_REFUND : PROCESS_PURCHASE));
    TRY(iso8583_set_number(message, 4, (uint64_t)rail->amount.amount));
    if (rail->amount.currency != NULL) {
        TRY(iso8583_set_number(message, 49, rail->amount.currency->number));
    }
    if (rail->operation == PORT_RAIL_AUTHORIZE) {
        return set_card(request, message);
    }
    return rail->operation == PORT_RAIL_VOID ? set_original(request, message) : ERR_OK;
}

err_t
network_management_build(
    const struct network_identity *identity,
    const struct network_trace *trace,
    uint16_t code,
    struct iso8583_message *message)
{
    iso8583_init(message, 800);
    TRY(set_trace(identity, trace, message));
    return iso8583_set_number(message, 70, code);
}

/* ------------------------------------------------------------------------- the host reads --- */

bool
network_id_read(struct span elements, unsigned tag, u128 *ret_id)
{
    struct span text;
    u128 id = 0;
    if (iso8583_element_find(elements, tag, &text)) {
        if (text.size != ID_DIGITS) {
            return false;
        }
        for (size_t i = 0; i < text.size; i++) {
            int digit = span_hex_digit(text.data[i]);
            if (digit < 0) {
                return false;
            }
            id = id << 4 | (unsigned)digit;
        }
    }
    *ret_id = id;
    return true;
}

static bool
read_inquiry(struct span elements, struct port_rail_request *rail)
{
    struct span position;
    if (iso8583_element_find(elements, NETWORK_POSITION, &position)) {
        rail->operation = PORT_RAIL_NEWS;
        return rail->original_id == 0 && span_parse_u64(position, &rail->position);
    }
    rail->operation = PORT_RAIL_REPORT;
    return rail->original_id != 0;
}

static bool
read_operation(
    const struct iso8583_message *message, struct span elements, struct network_asked *asked)
{
    struct port_rail_request *rail = &asked->rail;
    uint64_t process = PROCESS_PURCHASE;
    (void)iso8583_get_number(message, 3, &process);
    switch (message->type - (message->type % 10 == 1 ? 1 : 0)) { /* repeats are the same */
    case 100:
        rail->operation = rail->original_id == 0 ? PORT_RAIL_AUTHORIZE : PORT_RAIL_INCREMENT;
        return rail->id != 0;
    case 200:
        rail->operation = process == PROCESS_REFUND ? PORT_RAIL_REFUND : PORT_RAIL_AUTHORIZE;
        rail->capture = process != PROCESS_REFUND;
        return rail->id != 0 && (process == PROCESS_REFUND) == (rail->original_id != 0);
    case 220:
        rail->operation = PORT_RAIL_CAPTURE;
        return rail->id != 0 && rail->original_id != 0;
    case 420:
        rail->operation = PORT_RAIL_VOID;
        return rail->id != 0 && rail->original_id != 0;
    case 600:
        return read_inquiry(elements, rail);
    case 620:
        return rail->id != 0 && rail->original_id != 0 && network_contest_read(elements, asked);
    default:
        return false;
    }
}

static bool
read_amount(const struct iso8583_message *message, struct port_rail_request *rail)
{
    uint64_t amount = 0;
    uint64_t number = 0;
    if (!has_amount(rail->operation)) {
        return true;
    }
    if (!iso8583_get_number(message, 4, &amount)) {
        return false;
    }
    if (iso8583_get_number(message, 49, &number)) {
        rail->amount.currency = currency_by_number((uint16_t)number);
        if (rail->amount.currency == NULL) {
            return false;
        }
    }
    rail->amount.amount = (int64_t)amount;
    return rail->operation == PORT_RAIL_VOID || rail->amount.currency != NULL;
}

/* A copy in `asked`, which the message need not outlive. */
static struct span
keep(struct network_asked *asked, size_t *used, struct span text)
{
    text = span_slice(text, 0, sizeof(asked->texts) - *used);
    if (text.size > 0) {
        memcpy(asked->texts + *used, text.data, text.size);
    }
    struct span kept = span_of(asked->texts + *used, text.size);
    *used += text.size;
    return kept;
}

static void
copy_text(char *out, size_t size, struct span text)
{
    ASSERT(text.size < size);
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
}

static bool
read_card(const struct iso8583_message *message, struct span elements, struct network_asked *asked)
{
    struct port_rail_request *rail = &asked->rail;
    struct span text;
    uint64_t expiry;
    struct span number = iso8583_get(message, 2);
    if (number.size < 8 || !iso8583_get_number(message, 14, &expiry) || expiry % 100 < 1 ||
        expiry % 100 > 12) {
        return false;
    }
    copy_text(asked->card.number, sizeof(asked->card.number), number);
    asked->card.exp_year = (uint16_t)(2000 + expiry / 100);
    asked->card.exp_month = (uint8_t)(expiry % 100);
    if (iso8583_element_find(elements, NETWORK_CVC, &text)) {
        if (text.size >= sizeof(asked->card.cvc)) {
            return false;
        }
        copy_text(asked->card.cvc, sizeof(asked->card.cvc), text);
    }
    if (iso8583_element_find(elements, NETWORK_FLAGS, &text)) {
        rail->off_session = span_find(text, 'O', 0) < text.size;
        rail->may_challenge = span_find(text, 'C', 0) < text.size;
        rail->wants_proof = span_find(text, 'W', 0) < text.size;
        rail->sets_up = span_find(text, 'S', 0) < text.size;
    }
    size_t used = 0;
    if (iso8583_element_find(elements, NETWORK_POSTAL_CODE, &text)) {
        rail->postal_code = keep(asked, &used, text);
    }
    if (iso8583_element_find(elements, NETWORK_ADDRESS, &text)) {
        rail->address_line1 = keep(asked, &used, text);
    }
    return network_id_read(elements, NETWORK_CHALLENGE, &rail->original_id) &&
           network_id_read(elements, NETWORK_AGREEMENT, &rail->agreement_id);
}

const char *
network_request_read(const struct iso8583_message *message, struct network_asked *ret_asked)
{
    struct port_rail_request *rail = &ret_asked->rail;
    struct span elements = iso8583_get(message, 48);
    memset(ret_asked, 0, sizeof(*ret_asked));
    if (!network_id_read(elements, NETWORK_ID, &rail->id) ||
        !network_id_read(elements, NETWORK_ORIGINAL, &rail->original_id) ||
        !network_id_read(elements, NETWORK_REFERENCE, &rail->reference)) {
        return "30";
    }
    if (iso8583_has(message, 42) && !network_scope_read(iso8583_get(message, 42), &rail->scope)) {
        return "03";
    }
    if (!read_operation(message, elements, ret_asked)) {
        return "12";
    }
    if (!read_amount(message, rail)) {
        return "13";
    }
    if (rail->operation == PORT_RAIL_AUTHORIZE && !read_card(message, elements, ret_asked)) {
        return "30";
    }
    return NULL;
}
