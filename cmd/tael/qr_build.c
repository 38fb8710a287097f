/* `tael qr build`. */
#include "qr.h"

#include "amount.h"
#include "option.h"

#include <stdio.h>
#include <string.h>

#define OBJECTS_MAX  100
#define FIELD_SIZE   (EMVQR_VALUE_MAX * 4 + 1) /* the codec says what is too long */
#define ID_DIGITS    2
#define PATH_DIVIDER '-'

struct build_options {
    char reference[64];
    char initiation[8];
    char currency[4];
    char amount[48];
    char tip_amount[48];
    int64_t tip_basis_points;
    bool tip_prompt;
    bool json;
    char category[FIELD_SIZE];
    char country[FIELD_SIZE];
    char name[FIELD_SIZE];
    char city[FIELD_SIZE];
    char postal_code[FIELD_SIZE];
    char language[FIELD_SIZE];
    char language_name[FIELD_SIZE];
    char language_city[FIELD_SIZE];
    char additional[EMVQR_ADDITIONAL_COUNT][FIELD_SIZE];
    char length_unit[12];
};

#define OPTION(member, name_, fallback_, help_)                                                    \
    OPTION_TEXT(struct build_options, member, name_, fallback_, help_)
#define ADDITIONAL(field, name_) OPTION(additional[field], name_, "", "Additional data.")

static const struct setting build_settings[] = {
    OPTION(reference, "reference", "", "What Tael's own account refers to, as pi_..."),
    OPTION(initiation, "initiation", "auto", "static, dynamic, none, or auto: by the amount."),
    OPTION(currency, "currency", "USD", "Three letters."),
    OPTION(amount, "amount", "", AMOUNT_HELP " Default: the payer's."),
    OPTION(tip_amount, "tip-amount", "", "A fee that is added. " AMOUNT_HELP),
    OPTION_NUMBER(
        struct build_options,
        tip_basis_points,
        "tip-basis-points",
        "0",
        0,
        9999,
        "hundredths of a percent",
        "A fee that is added, as a part of the amount."),
    OPTION_SWITCH(struct build_options, tip_prompt, "tip-prompt", "The payer is asked for a tip."),
    OPTION(category, "category", "0000", "The merchant's category code (MCC); may be empty."),
    OPTION(country, "country", "US", "The merchant's: two letters."),
    OPTION(name, "name", "", "The merchant's."),
    OPTION(city, "city", "", "The merchant's."),
    OPTION(postal_code, "postal-code", "", "The merchant's."),
    OPTION(language, "language", "", "Of the two that follow: two letters."),
    OPTION(language_name, "language-name", "", "The merchant's name in that language."),
    OPTION(language_city, "language-city", "", "The city's name in that language."),
    ADDITIONAL(EMVQR_BILL_NUMBER, "bill-number"),
    ADDITIONAL(EMVQR_MOBILE_NUMBER, "mobile-number"),
    ADDITIONAL(EMVQR_STORE_LABEL, "store-label"),
    ADDITIONAL(EMVQR_LOYALTY_NUMBER, "loyalty-number"),
    ADDITIONAL(EMVQR_REFERENCE_LABEL, "reference-label"),
    ADDITIONAL(EMVQR_CUSTOMER_LABEL, "customer-label"),
    ADDITIONAL(EMVQR_TERMINAL_LABEL, "terminal-label"),
    ADDITIONAL(EMVQR_PURPOSE, "purpose"),
    ADDITIONAL(EMVQR_CONSUMER_DATA_REQUEST, "consumer-data-request"),
    ADDITIONAL(EMVQR_MERCHANT_TAX_ID, "merchant-tax-id"),
    ADDITIONAL(EMVQR_MERCHANT_CHANNEL, "merchant-channel"),
    OPTION(length_unit, "length-unit", "characters", "What lengths count: characters or bytes."),
    OPTION_SWITCH(struct build_options, json, "json", "Prints what 'tael qr parse --json' would."),
};

/* A draft and what it points to. */
struct building {
    const struct command *command;
    struct emvqr_draft draft;
    struct emvqr_leaf leaves[OBJECTS_MAX + 2];
};

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* "29-01=0066812223333" */
static bool
leaf_parse(const char *word, struct emvqr_leaf *ret_leaf)
{
    struct emvqr_leaf leaf = {.depth = 0};
    struct span value = span_from_cstr(word);
    struct span path = span_cut(&value, '=');
    if (path.size + 1 + value.size != strlen(word)) {
        return false; /* without a '=' */
    }
    while (path.size > 0) {
        if (leaf.depth == EMVQR_DEPTH_MAX || path.size < ID_DIGITS || !is_digit(path.data[0]) ||
            !is_digit(path.data[1])) {
            return false;
        }
        leaf.path[leaf.depth++] = (uint8_t)((path.data[0] - '0') * 10 + (path.data[1] - '0'));
        path = span_slice(path, ID_DIGITS, path.size);
        if (path.size > 0) {
            if (path.data[0] != PATH_DIVIDER || path.size == 1) {
                return false;
            }
            path = span_slice(path, 1, path.size);
        }
    }
    leaf.value = value;
    *ret_leaf = leaf;
    return leaf.depth > 0;
}

/* An amount as people write it, in ISO minor units. */
static int
read_amount(
    const struct command *command,
    const char *name,
    const char *text,
    const struct currency *currency,
    int64_t *ret_amount)
{
    int64_t api_amount = 0;
    struct money money = {.amount = 0};
    int status = amount_read(command, name, text, currency, &api_amount);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    if (money_from_api(api_amount, currency, &money) != ERR_OK) {
        return command_misuse(command, "--%s is no amount of %s", name, currency->code);
    }
    *ret_amount = money.amount;
    return COMMAND_GO_ON;
}

static int
read_tip(struct building *building, const struct build_options *options)
{
    struct emvqr_draft *draft = &building->draft;
    int kinds = (options->tip_prompt ? 1 : 0) + (options->tip_amount[0] != '\0' ? 1 : 0) +
                (options->tip_basis_points > 0 ? 1 : 0);
    if (kinds > 1) {
        return command_misuse(building->command, "only one of the --tip options can be given");
    }
    if (options->tip_prompt) {
        draft->tip = EMVQR_TIP_PROMPT;
    }
    if (options->tip_basis_points > 0) {
        draft->tip = EMVQR_TIP_PERCENTAGE;
        draft->tip_basis_points = (uint16_t)options->tip_basis_points;
    }
    if (options->tip_amount[0] != '\0') {
        draft->tip = EMVQR_TIP_FIXED;
        return read_amount(
            building->command,
            "tip-amount",
            options->tip_amount,
            draft->currency,
            &draft->tip_amount);
    }
    return COMMAND_GO_ON;
}

static int
read_money(struct building *building, const struct build_options *options)
{
    struct emvqr_draft *draft = &building->draft;
    draft->currency = currency_find(span_from_cstr(options->currency));
    if (draft->currency == NULL) {
        return command_misuse(building->command, "there is no currency '%s'", options->currency);
    }
    if (options->amount[0] != '\0') {
        draft->has_amount = true;
        int status = read_amount(
            building->command, "amount", options->amount, draft->currency, &draft->amount);
        if (status != COMMAND_GO_ON) {
            return status;
        }
    }
    return read_tip(building, options);
}

static int
read_choices(struct building *building, const struct build_options *options)
{
    struct emvqr_draft *draft = &building->draft;
    if (strcmp(options->length_unit, "bytes") == 0) {
        draft->length_unit = EMVQR_BYTES;
    } else if (strcmp(options->length_unit, "characters") != 0) {
        return command_misuse(building->command, "--length-unit is characters or bytes");
    }
    if (strcmp(options->initiation, "auto") == 0) {
        draft->initiation = draft->has_amount ? EMVQR_DYNAMIC : EMVQR_STATIC;
    } else if (strcmp(options->initiation, "static") == 0) {
        draft->initiation = EMVQR_STATIC;
    } else if (strcmp(options->initiation, "dynamic") == 0) {
        draft->initiation = EMVQR_DYNAMIC;
    } else if (strcmp(options->initiation, "none") != 0) {
        return command_misuse(building->command, "--initiation is static, dynamic, none or auto");
    }
    return COMMAND_GO_ON;
}

static int
read_objects(struct building *building, char **words, int count)
{
    struct emvqr_draft *draft = &building->draft;
    for (int i = 0; i < count; i++) {
        if (!leaf_parse(words[i], &building->leaves[draft->leaf_count])) {
            return command_misuse(
                building->command, "'%.60s' is no object, as 29-01=VALUE is one", words[i]);
        }
        draft->leaf_count++;
    }
    draft->leaves = building->leaves;
    return COMMAND_GO_ON;
}

static void
read_texts(struct building *building, const struct build_options *options)
{
    struct emvqr_draft *draft = &building->draft;
    draft->category = span_from_cstr(options->category);
    draft->country = span_from_cstr(options->country);
    draft->name = span_from_cstr(options->name);
    draft->city = span_from_cstr(options->city);
    draft->postal_code = span_from_cstr(options->postal_code);
    draft->language = span_from_cstr(options->language);
    draft->language_name = span_from_cstr(options->language_name);
    draft->language_city = span_from_cstr(options->language_city);
    for (int field = 1; field < EMVQR_ADDITIONAL_COUNT; field++) {
        draft->additional[field] = span_from_cstr(options->additional[field]);
    }
}

static int
build(const struct building *building, bool as_json)
{
    char memory[EMVQR_BYTES_MAX];
    struct buf out;
    struct emvqr_refusal refusal;
    buf_init_fixed(&out, memory, sizeof(memory));
    if (emvqr_build(&building->draft, &out, &refusal) != ERR_OK) {
        return qr_show_refusal(building->command, &refusal, as_json);
    }
    if (as_json) {
        return qr_show(building->command, buf_span(&out), true);
    }
    (void)printf("%.*s\n", SPAN_PRINTF(buf_span(&out)));
    return COMMAND_OK;
}

static int
run_build(const struct command *command, int argc, char **argv)
{
    (void)argc;
    struct build_options values;
    const struct command_options options = {
        COMMAND_TABLE(build_settings), .values = &values, .positional_max = OBJECTS_MAX};
    int positional = 0;
    int status = command_options(command, &options, argv, &positional);
    if (status != COMMAND_GO_ON) {
        return status;
    }
    struct building building = {.command = command};
    if (values.reference[0] != '\0') {
        emvqr_tael_draft(span_from_cstr(values.reference), building.leaves, &building.draft);
    }
    status = read_money(&building, &values);
    if (status == COMMAND_GO_ON) {
        status = read_choices(&building, &values);
    }
    if (status == COMMAND_GO_ON) {
        status = read_objects(&building, argv + 1, positional);
    }
    if (status != COMMAND_GO_ON) {
        return status;
    }
    read_texts(&building, &values);
    return build(&building, values.json);
}

const struct command command_qr_build = {
    .name = "build",
    .usage = "[PATH=VALUE...] [OPTIONS]",
    .summary = "Builds a payment code that a merchant shows",
    .manual =
        "Objects that no option is for are given by their path: 29-00=A000000677010111 puts\n"
        "that value into object 00 of template 29. A code needs one account at least: such an\n"
        "object of 02 to 51, or --reference for Tael's own. A draft that breaks a rule is\n"
        "refused, with the rule, and ends with status 1.",
    .run = run_build,
    .parent = &command_qr,
};
