#include "emvqr/upi.h"

#include "emvqr_private.h"

#include "base/assert.h"

#define UPI_SCHEME   "upi://pay?"
#define UPI_CURRENCY "INR"

struct reading {
    struct span text;
    struct buf memory;
    struct emvqr_refusal *refusal;
    struct span amount;
    struct span minimum;
    struct span currency;
};

/* The path of a UPI refusal is the parameter's name, the position that of the parameter. */
static err_t
refuse_parameter(const struct reading *reading, enum emvqr_problem problem, struct span name)
{
    size_t position = 0;
    struct span rest = reading->text;
    while (rest.size > 0) {
        struct span parameter = rest;
        (void)span_cut(&rest, rest.data == reading->text.data ? '?' : '&');
        size_t end = name.size;
        if (span_starts_with(parameter, name) && parameter.size > end &&
            parameter.data[end] == '=') {
            position = (size_t)(parameter.data - reading->text.data);
            break;
        }
    }
    *reading->refusal = (struct emvqr_refusal){.problem = problem, .position = position};
    for (size_t i = 0; i < name.size && i < EMVQR_PATH_SIZE - 1; i++) {
        reading->refusal->path[i] = name.data[i];
    }
    return ERR_INVALID;
}

/* Percent-decoding (RFC 3986 section 2.1) into the caller's memory; a plus stays a plus. Nothing
 * for what is no UTF-8 or has control characters. */
static bool
decode(struct reading *reading, struct span text, struct span *ret_decoded)
{
    size_t start = reading->memory.size;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? span_hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? span_hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = (unsigned char)(high * 16 + low);
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7f) {
            return false;
        }
        buf_append_byte(&reading->memory, (char)byte);
    }
    ASSERT(!buf_failed(&reading->memory)); /* never longer than the text, which is bounded */
    *ret_decoded = span_slice(buf_span(&reading->memory), start, reading->memory.size);
    return span_is_utf8(*ret_decoded);
}

/* Where a parameter goes; NULL for one that is passed over. */
static struct span *
place_of(struct reading *reading, struct emvqr_upi *upi, struct span name)
{
    const struct {
        const char *name;
        struct span *place;
    } places[] = {
        {"pa", &upi->payee},
        {"pn", &upi->payee_name},
        {"mc", &upi->category},
        {"tid", &upi->terminal_transaction},
        {"tr", &upi->reference},
        {"tn", &upi->note},
        {"am", &reading->amount},
        {"mam", &reading->minimum},
        {"cu", &reading->currency},
        {"url", &upi->url},
        {"mode", &upi->mode},
        {"purpose", &upi->purpose},
        {"orgid", &upi->organisation},
        {"sign", &upi->sign},
    };

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (span_equal_cstr(name, places[i].name)) {
            return places[i].place;
        }
    }
    return NULL;
}

static err_t
read_parameters(struct reading *reading, struct emvqr_upi *upi, struct span query)
{
    while (query.size > 0) {
        struct span value = span_cut(&query, '&');
        struct span name = span_cut(&value, '=');
        struct span *place = place_of(reading, upi, name);
        if (place == NULL) {
            continue;
        }
        if (place->data != NULL) {
            return refuse_parameter(reading, EMVQR_ID_DUPLICATE, name);
        }
        if (!decode(reading, value, place)) {
            return refuse_parameter(reading, EMVQR_VALUE_INVALID, name);
        }
        ASSERT(place->data != NULL); /* an empty one too, so that a second one is noticed */
    }
    return ERR_OK;
}

/* name@handle */
static bool
is_payee(struct span text)
{
    size_t at = span_find(text, '@', 0);
    return at > 0 && at + 1 < text.size && span_find(text, '@', at + 1) == text.size &&
           span_find(text, ' ', 0) == text.size;
}

static err_t
read_amount(
    const struct reading *reading,
    struct span text,
    struct span name,
    int64_t *ret_amount,
    bool *ret_has)
{
    if (text.size == 0) {
        return ERR_OK;
    }
    enum emvqr_problem problem = EMVQR_FINE;
    const struct currency *rupee = currency_find(SPAN(UPI_CURRENCY));
    ASSERT(rupee != NULL);
    if (emvqr_amount_parse(text, rupee, ret_amount, &problem) != ERR_OK) {
        return refuse_parameter(reading, problem, name);
    }
    *ret_has = true;
    return ERR_OK;
}

static err_t
conclude(const struct reading *reading, struct emvqr_upi *upi)
{
    if (upi->payee.size == 0) {
        return refuse_parameter(reading, EMVQR_FIELD_MISSING, SPAN("pa"));
    }
    if (!is_payee(upi->payee)) {
        return refuse_parameter(reading, EMVQR_ADDRESS_INVALID, SPAN("pa"));
    }
    if (reading->currency.size > 0 && !span_equal_nocase(reading->currency, SPAN(UPI_CURRENCY))) {
        return refuse_parameter(reading, EMVQR_CURRENCY_UNKNOWN, SPAN("cu"));
    }
    TRY(read_amount(reading, reading->amount, SPAN("am"), &upi->amount, &upi->has_amount));
    if (upi->has_amount && upi->amount == 0) {
        return refuse_parameter(reading, EMVQR_AMOUNT_ZERO, SPAN("am"));
    }
    return read_amount(reading, reading->minimum, SPAN("mam"), &upi->minimum, &upi->has_minimum);
}

err_t
emvqr_upi_parse(
    struct span text,
    char memory[EMVQR_UPI_BYTES_MAX],
    struct emvqr_upi *ret_upi,
    struct emvqr_refusal *ret_refusal)
{
    struct reading reading = {.text = text, .refusal = ret_refusal};
    struct span start = span_slice(text, 0, sizeof(UPI_SCHEME) - 1);
    *ret_upi = (struct emvqr_upi){0};
    *ret_refusal = (struct emvqr_refusal){0};
    buf_init_fixed(&reading.memory, memory, EMVQR_UPI_BYTES_MAX);
    if (text.size == 0) {
        return emvqr_refuse(ret_refusal, EMVQR_EMPTY, 0, NULL, NULL);
    }
    if (text.size > EMVQR_UPI_BYTES_MAX) {
        return emvqr_refuse(ret_refusal, EMVQR_TOO_LONG, EMVQR_UPI_BYTES_MAX, NULL, NULL);
    }
    if (!span_equal_nocase(start, SPAN(UPI_SCHEME))) {
        return emvqr_refuse(ret_refusal, EMVQR_NOT_A_CODE, 0, NULL, NULL);
    }
    TRY(read_parameters(&reading, ret_upi, span_slice(text, start.size, text.size)));
    return conclude(&reading, ret_upi);
}

enum emvqr_kind
emvqr_kind_of(struct span text)
{
    if (span_starts_with(text, SPAN("0002"))) {
        return EMVQR_KIND_MERCHANT;
    }
    if (span_starts_with(text, SPAN("hQVDUFY"))) {
        return EMVQR_KIND_CONSUMER;
    }
    return span_equal_nocase(span_slice(text, 0, 6), SPAN("upi://")) ? EMVQR_KIND_UPI
                                                                     : EMVQR_KIND_UNKNOWN;
}
