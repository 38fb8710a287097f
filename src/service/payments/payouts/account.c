/* The merchant's own account, and when it is paid out by itself. */
#include "payout.h"
#include "payout_calendar.h"

#include "form/form.h"
#include "resource/pages.h"

#define DAY_S         INT64_C(86400)
#define SCHEDULE(own) "settings[payouts][schedule][" own "]"

/* ------------------------------------------------------------------------------------- shown -- */

struct collected {
    struct payments_bank_account *accounts[DOCUMENT_LIST_MAX];
    uint32_t count;
};

static bool
collect(void *context, void *document)
{
    struct collected *collected = context;
    collected->accounts[collected->count++] = document;
    return collected->count < DOCUMENT_LIST_MAX;
}

static int64_t
delay_days(struct resource_op *op)
{
    const struct payments *payments = resource_op_service(op);
    return payments->parts.settings.settlement_delay_s / DAY_S;
}

/* The account with that schedule; NULL: the operation was answered. */
static struct payments_account *
account_of(struct resource_op *op, const struct payments_payout_schedule *schedule)
{
    const struct payments *payments = resource_op_service(op);
    struct payments_account *account = ARENA_NEW(resource_op_arena(op), struct payments_account);
    struct collected *collected = ARENA_NEW(resource_op_arena(op), struct collected);
    if (account == NULL || collected == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    struct span merchant = span_from_cstr(resource_op_caller(op)->merchant_id);
    const struct document_query query = {
        .filters = {{.column = PAYMENTS_BANK_ACCOUNT_MERCHANT, .value = {.text = merchant}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = DOCUMENT_LIST_MAX,
    };
    err_t error = resource_find_shown(op, &payments_bank_account_type, &query, collect, collected);
    error = error == ERR_OK ? resource_op_merchant_name(op, &account->name) : error;
    if (error != ERR_OK) {
        resource_internal(op, error, "account");
        return NULL;
    }
    account->header.id = merchant;
    account->pays_out = payments->parts.bank_rail != NULL;
    account->delay_days = delay_days(op);
    account->schedule = schedule;
    account->bank_accounts = collected->accounts;
    account->bank_account_count = collected->count;
    return account;
}

static void
answer(struct resource_op *op, const struct payments_payout_schedule *schedule)
{
    const struct payments_account *account = account_of(op, schedule);
    if (account != NULL) {
        resource_answer_object(op, &payments_account_type, account);
    }
}

/* NULL: the operation was answered. */
static struct payments_payout_schedule *
load(struct resource_op *op)
{
    struct payments_payout_schedule *schedule = NULL;
    err_t error = payments_payout_schedule_load(op, &schedule);
    if (error != ERR_OK) {
        resource_internal(op, error, "payout schedule");
        return NULL;
    }
    return schedule;
}

void
payments_account_retrieve(struct resource_op *op)
{
    if (resource_op_capture(op, 0).size != 0 && !payments_account_is_own(op)) {
        return;
    }
    const struct payments_payout_schedule *schedule = load(op);
    if (schedule != NULL) {
        answer(op, schedule);
    }
}

/* ---------------------------------------------------------------------------------- schedule -- */

/* Which day of the week it is, from Monday on; 7: none. */
static uint32_t
weekday_of(struct span text)
{
    uint32_t day = 0;
    while (payments_weekdays[day] != NULL && !span_equal_cstr(text, payments_weekdays[day])) {
        day++;
    }
    return day;
}

/* Which day of the month it is, from 0 on; 31: none. */
static uint32_t
monthday_of(struct span text)
{
    uint32_t day = 0;
    for (size_t i = 0; i < text.size && i < 3; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return PAYMENTS_CALENDAR_MONTHDAYS;
        }
        day = day * 10 + (uint32_t)(text.data[i] - '0');
    }
    return day >= 1 && day <= PAYMENTS_CALENDAR_MONTHDAYS ? day - 1 : PAYMENTS_CALENDAR_MONTHDAYS;
}

struct days_named {
    const char *interval;
    const char *anchor;
    const char *list;
    uint32_t (*day_of)(struct span text);
    uint32_t count;
};

static const struct days_named weekly = {
    .interval = "weekly",
    .anchor = SCHEDULE("weekly_anchor"),
    .list = SCHEDULE("weekly_payout_days"),
    .day_of = weekday_of,
    .count = PAYMENTS_CALENDAR_WEEKDAYS,
};
static const struct days_named monthly = {
    .interval = "monthly",
    .anchor = SCHEDULE("monthly_anchor"),
    .list = SCHEDULE("monthly_payout_days"),
    .day_of = monthday_of,
    .count = PAYMENTS_CALENDAR_MONTHDAYS,
};

static bool
add_day(
    struct resource_op *op,
    const struct days_named *named,
    const char *param,
    struct span text,
    uint32_t *days)
{
    uint32_t day = named->day_of(text);
    if (day >= named->count) {
        resource_invalid(op, NULL, param, "Invalid day: %.*s", SPAN_PRINTF(text));
        return false;
    }
    *days |= UINT32_C(1) << day;
    return true;
}

/* 0: none are given. False: the operation was answered. */
static bool
read_days(struct resource_op *op, const struct days_named *named, uint32_t *ret_days)
{
    struct span anchor;
    const struct form_node *list = resource_node(op, named->list);
    uint32_t days = 0;
    if (resource_text(op, named->anchor, &anchor) && list != NULL) {
        resource_invalid(
            op, NULL, named->anchor, "Name the days either as an anchor, or as a list.");
        return false;
    }
    if (list == NULL && resource_text(op, named->anchor, &anchor) &&
        !add_day(op, named, named->anchor, anchor, &days)) {
        return false;
    }
    for (const struct form_node *one = list == NULL ? NULL : list->first_child; one != NULL;
         one = one->next) {
        if (!add_day(op, named, named->list, one->text, &days)) {
            return false;
        }
    }
    *ret_days = days;
    return true;
}

/* The days of one interval: named now, or, if it stays, before. False if answered. */
static bool
settle_days(
    struct resource_op *op,
    const struct days_named *named,
    struct span interval,
    struct payments_payout_schedule *schedule)
{
    uint32_t days = 0;
    bool is_this = span_equal_cstr(interval, named->interval);
    bool stays = span_equal(interval, schedule->interval);
    if (!read_days(op, named, &days)) {
        return false;
    }
    if (days != 0 && !is_this) {
        resource_invalid(
            op,
            NULL,
            resource_present(op, named->anchor) ? named->anchor : named->list,
            "These are days of an interval that is %s.",
            named->interval);
        return false;
    }
    if (is_this && days == 0 && !stays) {
        resource_invalid(
            op,
            "parameter_missing",
            named->anchor,
            "An interval that is %s needs days.",
            named->interval);
        return false;
    }
    if (days != 0) {
        schedule->days = days;
    }
    return true;
}

static bool
delay_check(struct resource_op *op)
{
    struct span text;
    if (!resource_text(op, SCHEDULE("delay_days"), &text) || span_equal_cstr(text, "minimum") ||
        span_equal(text, arena_format(resource_op_arena(op), "%lld", (long long)delay_days(op)))) {
        return true;
    }
    resource_invalid(
        op,
        NULL,
        SCHEDULE("delay_days"),
        "Payments are available after %lld days here: send that, or minimum, or nothing.",
        (long long)delay_days(op));
    return false;
}

/* False: the operation was answered. */
static bool
read_schedule(struct resource_op *op, struct payments_payout_schedule *schedule)
{
    const struct payments *payments = resource_op_service(op);
    struct span interval = schedule->interval;
    (void)resource_text(op, SCHEDULE("interval"), &interval);
    if (payments->parts.bank_rail == NULL && !span_equal_cstr(interval, "manual")) {
        resource_invalid(
            op,
            "payouts_not_allowed",
            SCHEDULE("interval"),
            "There is no bank that pays out here.");
        return false;
    }
    if (!delay_check(op) || !settle_days(op, &weekly, interval, schedule) ||
        !settle_days(op, &monthly, interval, schedule)) {
        return false;
    }
    schedule->interval = interval;
    return true;
}

/* The schedule is no object of its own outside: the account that shows it was updated. What is set
 * to what it was already is no update. */
static err_t
tell_updated(struct resource_op *op, struct payments_account *account, struct span before)
{
    struct span after = resource_render_text(op, &payments_account_type, account);
    struct span previous = SPAN_EMPTY;
    if (after.size == 0) {
        return ERR_FULL;
    }
    if (span_equal(before, after)) {
        return ERR_OK;
    }
    TRY(resource_changed_since(op, before, after, &previous));
    return resource_emit(op, "account.updated", &payments_account_type, account, previous);
}

static void
update_locked(struct resource_op *op)
{
    struct payments_payout_schedule *schedule = load(op);
    struct payments_account *account = schedule == NULL ? NULL : account_of(op, schedule);
    if (account == NULL) {
        return;
    }
    struct span before = resource_render_text(op, &payments_account_type, account);
    if (before.size == 0) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    if (!read_schedule(op, schedule)) {
        return;
    }
    payments_payout_schedule_arm(op, schedule);
    err_t error = resource_save(op, &payments_payout_schedule_type, schedule);
    error = error == ERR_OK ? tell_updated(op, account, before) : error;
    if (error != ERR_OK) {
        resource_internal(op, error, "payout schedule");
        return;
    }
    resource_answer_object(op, &payments_account_type, account);
}

void
payments_account_update(struct resource_op *op)
{
    if (!payments_account_is_own(op)) {
        return;
    }
    struct span id = payments_payout_schedule_id(op);
    if (id.size == 0) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    if (resource_node(op, "settings") == NULL) {
        payments_account_retrieve(op);
        return;
    }
    resource_lock(op, id, update_locked); /* against the sweeper */
}
