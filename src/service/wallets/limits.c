#include "limits.h"

#include "base/assert.h"

#include <string.h>

/* The largest limit that can be written, in whole units: sums of amounts stay far from overflow. */
#define UNITS_MAX INT64_C(1000000000000)
#define DAY_S     INT64_C(86400)

/* About how many units are worth a US dollar, to the first digit, where it is not about one. A
 * limit is not a price: who wants it exact names the currency. */
static const struct {
    char code[4];
    int32_t units;
} rough_rates[] = {
    {"AED", 4},     {"ARS", 1000}, {"BRL", 5},   {"CLP", 1000},  {"CNY", 7},    {"COP", 4000},
    {"CZK", 20},    {"DKK", 7},    {"EGP", 50},  {"GHS", 15},    {"HKD", 8},    {"HUF", 400},
    {"IDR", 16000}, {"ILS", 4},    {"INR", 100}, {"ISK", 150},   {"JPY", 150},  {"KES", 130},
    {"KRW", 1500},  {"LKR", 300},  {"MXN", 20},  {"MYR", 5},     {"NGN", 1500}, {"NOK", 10},
    {"PHP", 60},    {"PKR", 300},  {"PLN", 4},   {"PYG", 7500},  {"QAR", 4},    {"RON", 5},
    {"SAR", 4},     {"SEK", 10},   {"THB", 35},  {"TRY", 40},    {"TWD", 30},   {"TZS", 2500},
    {"UAH", 40},    {"UGX", 4000}, {"UYU", 40},  {"VND", 25000}, {"XAF", 600},  {"XOF", 600},
    {"ZAR", 20},
};

static int64_t
rough_rate(const struct currency *currency)
{
    for (size_t i = 0; i < sizeof(rough_rates) / sizeof(rough_rates[0]); i++) {
        if (strcmp(rough_rates[i].code, currency->code) == 0) {
            return rough_rates[i].units;
        }
    }
    return 1;
}

/* -------------------------------------------------------------------------------- reading --- */

static bool
read_units(struct span text, int64_t *ret_units)
{
    uint64_t units;
    if (!span_parse_u64(text, &units) || units > (uint64_t)UNITS_MAX) {
        return false;
    }
    *ret_units = (int64_t)units;
    return true;
}

static bool
read_tier(struct span text, char tier[WALLETS_TIER_SIZE])
{
    if (text.size == 0 || text.size >= WALLETS_TIER_SIZE) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if ((byte < 'a' || byte > 'z') && (byte < '0' || byte > '9') && byte != '_') {
            return false;
        }
    }
    memset(tier, 0, WALLETS_TIER_SIZE);
    memcpy(tier, text.data, text.size);
    return true;
}

/* "basic.out", "basic.jpy.out" */
static bool
read_name(struct span name, struct wallets_limit_rule *rule)
{
    struct span rest = name;
    if (!read_tier(span_cut(&rest, '.'), rule->tier)) {
        return false;
    }
    struct span word = span_cut(&rest, '.');
    rule->currency = NULL;
    if (rest.size != 0) {
        rule->currency = currency_find(word);
        word = rest;
        if (rule->currency == NULL) {
            return false;
        }
    }
    rule->direction = span_equal_cstr(word, "out") ? PORT_WALLET_OUT : PORT_WALLET_IN;
    return span_equal_cstr(word, "out") || span_equal_cstr(word, "in");
}

static bool
read_rule(struct span word, struct wallets_limit_rule *rule)
{
    struct span amounts = word;
    struct span name = span_cut(&amounts, '=');
    memset(rule, 0, sizeof(*rule));
    return read_name(name, rule) && read_units(span_cut(&amounts, '/'), &rule->transaction) &&
           read_units(span_cut(&amounts, '/'), &rule->day) && read_units(amounts, &rule->month);
}

static const struct wallets_limit_rule *
find_rule(
    const struct wallets_limits *limits,
    struct span tier,
    enum port_wallet_direction direction,
    const struct currency *currency)
{
    for (uint32_t i = 0; i < limits->count; i++) {
        const struct wallets_limit_rule *rule = &limits->rules[i];
        if (rule->direction == direction && rule->currency == currency &&
            span_equal_cstr(tier, rule->tier)) {
            return rule;
        }
    }
    return NULL;
}

static bool
tier_is_whole(const struct wallets_limits *limits, const char *tier)
{
    struct span name = span_from_cstr(tier);
    return find_rule(limits, name, PORT_WALLET_OUT, NULL) != NULL &&
           find_rule(limits, name, PORT_WALLET_IN, NULL) != NULL;
}

err_t
wallets_limits_parse(struct span text, struct wallets_limits *ret_limits, struct span *ret_wrong)
{
    struct wallets_limits limits = {.count = 0};
    struct span rest = span_trim(text);
    *ret_wrong = rest;
    while (rest.size != 0) {
        struct span word = span_cut(&rest, ' ');
        rest = span_trim(rest);
        *ret_wrong = word;
        if (limits.count == WALLETS_LIMIT_RULES_MAX ||
            !read_rule(word, &limits.rules[limits.count])) {
            return ERR_INVALID;
        }
        limits.count++;
    }
    if (limits.count == 0) {
        return ERR_INVALID;
    }
    for (uint32_t i = 0; i < limits.count; i++) {
        if (!tier_is_whole(&limits, limits.rules[i].tier)) {
            *ret_wrong = span_from_cstr("a tier needs both .out and .in");
            return ERR_INVALID;
        }
    }
    *ret_limits = limits;
    return ERR_OK;
}

/* -------------------------------------------------------------------------------- finding --- */

bool
wallets_limits_has_tier(const struct wallets_limits *limits, struct span tier)
{
    return find_rule(limits, tier, PORT_WALLET_OUT, NULL) != NULL;
}

/* `rate`: of the currency's whole units for one of `units`. */
static int64_t
minor_units(int64_t units, int64_t rate, const struct currency *currency)
{
    int64_t minor = units * rate;
    for (uint8_t i = 0; i < currency->exponent; i++) {
        /* The largest limits of the coarsest rates are cut: nobody moves as much. */
        minor = minor > INT64_MAX / 10 ? INT64_MAX : minor * 10;
    }
    return minor;
}

struct wallets_limit
wallets_limits_find(
    const struct wallets_limits *limits,
    struct span tier,
    enum port_wallet_direction direction,
    const struct currency *currency)
{
    ASSERT(limits->count > 0);
    struct span known =
        wallets_limits_has_tier(limits, tier) ? tier : span_from_cstr(limits->rules[0].tier);
    const struct wallets_limit_rule *rule = find_rule(limits, known, direction, currency);
    bool dollars = rule == NULL;
    if (rule == NULL) {
        rule = find_rule(limits, known, direction, NULL);
    }
    ASSERT(rule != NULL);
    int64_t rate = dollars ? rough_rate(currency) : 1;
    return (struct wallets_limit){
        .transaction = minor_units(rule->transaction, rate, currency),
        .day = minor_units(rule->day, rate, currency),
        .month = minor_units(rule->month, rate, currency),
    };
}

/* -------------------------------------------------------------------------------- counting -- */

int64_t
wallets_day_of(int64_t unix_s)
{
    ASSERT(unix_s >= 0);
    return unix_s / DAY_S;
}

struct wallets_date
wallets_date_of(int64_t unix_s)
{
    /* Years that begin in March end with the leap day; 400 of them are an era of 146,097 days. */
    int64_t days = wallets_day_of(unix_s) + 719468;
    int64_t era = days / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t from_march = (5 * of_year + 2) / 153;
    bool next_year = from_march >= 10;
    return (struct wallets_date){
        .year = era * 400 + year + (next_year ? 1 : 0),
        .month = from_march + (next_year ? -9 : 3),
        .day = of_year - (153 * from_march + 2) / 5 + 1,
    };
}

int64_t
wallets_month_of(int64_t unix_s)
{
    struct wallets_date date = wallets_date_of(unix_s);
    return date.year * 12 + date.month - 1;
}

struct wallets_usage
wallets_usage_at(const struct wallets_usage *usage, int64_t now_s)
{
    struct wallets_usage current = *usage;
    int64_t day = wallets_day_of(now_s);
    int64_t month = wallets_month_of(now_s);
    if (day > current.day) {
        current.day = day;
        current.day_amount = 0;
    }
    if (month > current.month) {
        current.month = month;
        current.month_amount = 0;
    }
    return current;
}

enum wallets_limit_kind
wallets_limit_check(
    const struct wallets_limit *limit,
    const struct wallets_usage *usage,
    int64_t amount,
    int64_t now_s,
    int64_t *ret_left)
{
    ASSERT(amount >= 0);
    struct wallets_usage current = wallets_usage_at(usage, now_s);

    const struct {
        enum wallets_limit_kind kind;
        int64_t left;
    } checks[] = {
        {WALLETS_LIMIT_TRANSACTION, limit->transaction},
        {WALLETS_LIMIT_DAY, limit->day - current.day_amount},
        {WALLETS_LIMIT_MONTH, limit->month - current.month_amount},
    };

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (amount > checks[i].left) {
            /* A tier that was lowered has less than nothing left. */
            *ret_left = checks[i].left < 0 ? 0 : checks[i].left;
            return checks[i].kind;
        }
    }
    return WALLETS_LIMIT_NONE;
}

void
wallets_usage_add(struct wallets_usage *usage, int64_t amount, int64_t now_s)
{
    ASSERT(amount >= 0);
    *usage = wallets_usage_at(usage, now_s);
    bool overflows = __builtin_add_overflow(usage->day_amount, amount, &usage->day_amount) ||
                     __builtin_add_overflow(usage->month_amount, amount, &usage->month_amount);
    ASSERT(!overflows); /* both stay within their limits */
}

static int64_t
take(int64_t from, int64_t amount)
{
    return amount < from ? from - amount : 0;
}

void
wallets_usage_take(struct wallets_usage *usage, int64_t amount, int64_t then_s)
{
    ASSERT(amount >= 0);
    if (usage->day == wallets_day_of(then_s)) {
        usage->day_amount = take(usage->day_amount, amount);
    }
    if (usage->month == wallets_month_of(then_s)) {
        usage->month_amount = take(usage->month_amount, amount);
    }
}
