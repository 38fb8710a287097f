/*
 * Value lists and what is in them. A list's default ones are made when the merchant first asks for
 * any; a list's count of values changes under its lock, with the value.
 */
#include "risk.h"

#include "resource/pages.h"

#define LISTS_URL "/v1/radar/value_lists"

struct span
payments_risk_who(struct resource_op *op)
{
    return arena_copy(resource_op_arena(op), span_from_cstr(resource_op_caller(op)->key_id));
}

struct span
payments_risk_entry(struct resource_op *op, struct span list, struct span value)
{
    return arena_format(resource_op_arena(op), "%.*s %.*s", SPAN_PRINTF(list), SPAN_PRINTF(value));
}

/* ----------------------------------------------------------------------------------- finding ---
 */

err_t
payments_value_list_find(
    struct resource_op *op, struct span alias, struct payments_value_list **ret_list)
{
    void *found;
    TRY(resource_find_first(
        op, &payments_value_list_type, PAYMENTS_VALUE_LIST_ALIAS, alias, &found));
    *ret_list = found;
    return ERR_OK;
}

struct payments_value_list *
payments_value_list_named(struct resource_op *op, const char *param, struct span named)
{
    struct payments_value_list *list = NULL;
    void *found = NULL;
    err_t error = resource_load(op, &payments_value_list_type, named, &found);
    list = found;
    if (error == ERR_NOT_FOUND) {
        error = payments_value_list_find(op, named, &list);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "value list");
        return NULL;
    }
    if (list == NULL) {
        resource_missing(op, "value_list", param, named);
    }
    return list;
}

/* ----------------------------------------------------------------------------- default lists ---
 */

static err_t
add_default(
    struct resource_op *op, const struct payments_risk_default *one, const char *alias, bool blocks)
{
    struct payments_value_list *list = resource_new(op, &payments_value_list_type);
    if (list == NULL) {
        return ERR_FULL;
    }
    list->alias = span_from_cstr(alias);
    list->name =
        arena_format(resource_op_arena(op), "%s %s list", one->title, blocks ? "block" : "allow");
    list->item_type = span_from_cstr(payments_risk_item_names[one->item]);
    list->created_by = SPAN("tael");
    list->fixed = true;
    return list->name.size == 0 ? ERR_FULL : resource_save(op, &payments_value_list_type, list);
}

static err_t
add_defaults(struct resource_op *op)
{
    TRY(resource_guard(op, SPAN("radar")));
    for (uint32_t i = 0; i < PAYMENTS_RISK_DEFAULTS; i++) {
        const struct payments_risk_default *one = &payments_risk_defaults[i];
        TRY(add_default(op, one, one->allows, false));
        TRY(add_default(op, one, one->blocks, true));
    }
    return ERR_OK;
}

bool
payments_risk_lists_ready(struct resource_op *op)
{
    struct payments_value_list *first = NULL;
    err_t error =
        payments_value_list_find(op, span_from_cstr(payments_risk_defaults[0].blocks), &first);
    if (error == ERR_OK && first == NULL) {
        error = add_defaults(op);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "default lists");
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------- lists ---
 */

static bool
is_alias(struct span text)
{
    bool is = text.size > 0 && text.size <= PAYMENTS_RISK_ALIAS_MAX;
    for (size_t i = 0; is && i < text.size; i++) {
        char byte = text.data[i];
        is = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
             (byte >= '0' && byte <= '9') || byte == '_';
    }
    return is;
}

/* Whether the list may have this alias; false if answered. */
static bool
check_alias(struct resource_op *op, const struct payments_value_list *list, struct span alias)
{
    struct payments_value_list *other = NULL;
    if (!is_alias(alias)) {
        resource_invalid(
            op,
            NULL,
            "alias",
            "An alias has 1 to %d letters, digits and underscores.",
            PAYMENTS_RISK_ALIAS_MAX);
        return false;
    }
    err_t error = payments_value_list_find(op, alias, &other);
    if (error != ERR_OK) {
        resource_internal(op, error, "value list");
        return false;
    }
    if (other != NULL && !span_equal(other->header.id, list->header.id)) {
        resource_invalid(
            op,
            "resource_already_exists",
            "alias",
            "There is a value list with the alias %.*s: %.*s.",
            SPAN_PRINTF(alias),
            SPAN_PRINTF(other->header.id));
        return false;
    }
    return true;
}

static bool
count_one(void *context, void *document)
{
    uint32_t *count = context;
    (void)document;
    (*count)++;
    return true;
}

/* Whether there may be one more of the type; false if answered. */
static bool
is_room(
    struct resource_op *op, const struct resource_type *type, uint32_t maximum, const char *what)
{
    uint32_t count = 0;
    const struct document_query query = {
        .range_column = UINT32_MAX,
        .limit = DOCUMENT_LIST_MAX,
    };
    err_t error = resource_guard(op, SPAN("radar"));
    if (error == ERR_OK) {
        error = resource_find(op, type, &query, count_one, &count);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, what);
        return false;
    }
    if (count >= maximum) {
        resource_invalid(op, NULL, NULL, "There are %u %s, and no more are taken.", maximum, what);
        return false;
    }
    return true;
}

void
payments_value_list_create(struct resource_op *op)
{
    struct span item_type = SPAN_EMPTY;
    if (!payments_risk_lists_ready(op) ||
        !is_room(op, &payments_value_list_type, PAYMENTS_RISK_LISTS_MAX, "value lists")) {
        return;
    }
    struct payments_value_list *list = resource_new(op, &payments_value_list_type);
    if (list == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    (void)resource_text(op, "alias", &list->alias);
    (void)resource_text(op, "name", &list->name);
    (void)resource_text(op, "item_type", &item_type);
    list->item_type = item_type.size != 0 ? item_type : SPAN("string");
    list->created_by = payments_risk_who(op);
    if (!check_alias(op, list, list->alias) ||
        resource_metadata(op, SPAN_EMPTY, &list->metadata) != ERR_OK) {
        return;
    }
    resource_answer_saved(
        op, &payments_value_list_type, list, "value list", "radar.value_list.created");
}

/* NULL: answered. */
static struct payments_value_list *
require_list(struct resource_op *op)
{
    return payments_risk_lists_ready(op)
               ? resource_require(
                     op, &payments_value_list_type, "value_list", resource_op_capture(op, 0))
               : NULL;
}

void
payments_value_list_retrieve(struct resource_op *op)
{
    const struct payments_value_list *list = require_list(op);
    if (list != NULL) {
        resource_answer_object(op, &payments_value_list_type, list);
    }
}

/* A list that a rule asks for by its alias keeps it; false if answered. */
static bool
is_free(struct resource_op *op, const struct payments_value_list *list)
{
    bool named = false;
    err_t error = resource_guard(op, SPAN("radar"));
    if (error == ERR_OK) {
        error = payments_risk_rule_names(op, list->alias, &named);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "rules");
        return false;
    }
    if (list->fixed || named) {
        resource_invalid(
            op,
            NULL,
            "value_list",
            list->fixed ? "This is a default list: only what is in it can be changed."
                        : "A rule asks for this list: change the rule first.");
        return false;
    }
    return true;
}

static void
list_update_locked(struct resource_op *op)
{
    struct span alias = SPAN_EMPTY;
    struct payments_value_list *list = require_list(op);
    if (list == NULL) {
        return;
    }
    bool renames = resource_text(op, "alias", &alias) && !span_equal(alias, list->alias);
    if ((list->fixed || renames) && !is_free(op, list)) {
        return;
    }
    if (renames && !check_alias(op, list, alias)) {
        return;
    }
    if (renames) {
        list->alias = alias;
    }
    (void)resource_text(op, "name", &list->name);
    if (resource_metadata(op, list->metadata, &list->metadata) != ERR_OK) {
        return;
    }
    resource_answer_saved(
        op, &payments_value_list_type, list, "value list", "radar.value_list.updated");
}

void
payments_value_list_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), list_update_locked);
}

struct removal {
    struct payments_value_item *items[PAYMENTS_RISK_REMOVED_MAX];
    uint32_t count;
};

static bool
take_item(void *context, void *document)
{
    struct removal *removal = context;
    removal->items[removal->count++] = document;
    return removal->count < PAYMENTS_RISK_REMOVED_MAX;
}

static err_t
remove_items(struct resource_op *op, const struct payments_value_list *list)
{
    struct removal *removal = ARENA_NEW(resource_op_arena(op), struct removal);
    const struct document_query query = {
        .filters = {{.column = PAYMENTS_VALUE_ITEM_LIST, .value = {.text = list->header.id}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = PAYMENTS_RISK_REMOVED_MAX,
    };
    if (removal == NULL) {
        return ERR_FULL;
    }
    TRY(resource_find(op, &payments_value_item_type, &query, take_item, removal));
    for (uint32_t i = 0; i < removal->count; i++) {
        TRY(resource_remove(op, &payments_value_item_type, removal->items[i]));
    }
    return ERR_OK;
}

static void
list_delete_locked(struct resource_op *op)
{
    struct payments_value_list *list = require_list(op);
    if (list == NULL || !is_free(op, list)) {
        return;
    }
    if (list->items > PAYMENTS_RISK_REMOVED_MAX) {
        resource_invalid(
            op,
            NULL,
            "value_list",
            "There are %lld values in this list: delete them down to %d first.",
            (long long)list->items,
            PAYMENTS_RISK_REMOVED_MAX);
        return;
    }
    err_t error =
        resource_emit(op, "radar.value_list.deleted", &payments_value_list_type, list, SPAN_EMPTY);
    if (error == ERR_OK) {
        error = remove_items(op, list);
    }
    if (error == ERR_OK) {
        error = resource_remove(op, &payments_value_list_type, list);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "value list");
        return;
    }
    resource_answer_object(op, &payments_deleted_value_list_type, list);
}

void
payments_value_list_delete(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), list_delete_locked);
}

void
payments_value_list_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {{"alias", PAYMENTS_VALUE_LIST_ALIAS}};
    if (payments_risk_lists_ready(op)) {
        resource_answer_list(op, &payments_value_list_type, LISTS_URL, filters, 1);
    }
}

/* ------------------------------------------------------------------------------------ values ---
 */

/* False if answered. */
static bool
read_entry(
    struct resource_op *op,
    const struct payments_value_list *list,
    struct span value,
    struct span *ret_entry)
{
    enum payments_risk_item item;
    struct span normal;
    if (!payments_risk_item_parse(list->item_type, &item)) {
        resource_internal(op, ERR_CORRUPT, "value list");
        return false;
    }
    if (!payments_risk_value(item, value, resource_op_arena(op), &normal)) {
        resource_invalid(
            op,
            NULL,
            "value",
            "The values of this list are of the type %s: %s.",
            payments_risk_item_names[item],
            payments_risk_item_is(item));
        return false;
    }
    *ret_entry = payments_risk_entry(op, list->header.id, normal);
    return true;
}

/* Whether the list takes one more; false if answered. */
static bool
takes(struct resource_op *op, const struct payments_value_list *list, struct span entry)
{
    void *found = NULL;
    if (list->items >= PAYMENTS_RISK_VALUES_MAX) {
        resource_invalid(
            op, NULL, "value_list", "A list has at most %d values.", PAYMENTS_RISK_VALUES_MAX);
        return false;
    }
    err_t error = resource_find_first(
        op, &payments_value_item_type, PAYMENTS_VALUE_ITEM_ENTRY, entry, &found);
    if (error != ERR_OK) {
        resource_internal(op, error, "value list item");
        return false;
    }
    const struct payments_value_item *other = found;
    if (other != NULL) {
        resource_invalid(
            op,
            "resource_already_exists",
            "value",
            "This value is in the list already: %.*s.",
            SPAN_PRINTF(other->header.id));
        return false;
    }
    return true;
}

/* Books say which lists are empty, and not what is in the others: one that was empty a moment ago
 * may still be so in another process's. */
#define JUST_FILLED_S 2

/* One value more, or less, with the write of the value itself. */
static err_t
count_items(struct resource_op *op, struct payments_value_list *list, int64_t by)
{
    int64_t now = (int64_t)resource_now_s(op);
    list->items += by;
    if (by > 0 && list->items == 1) {
        list->filled = now;
    }
    if (by > 0 && now - list->filled <= JUST_FILLED_S) {
        payments_risk_book_changes(op);
    }
    return resource_save(op, &payments_value_list_type, list);
}

static void
item_create_locked(struct resource_op *op)
{
    struct span id = *(const struct span *)resource_op_state(op);
    struct payments_value_list *list = payments_value_list_named(op, "value_list", id);
    if (list == NULL) {
        return;
    }
    struct payments_value_item *item = resource_new(op, &payments_value_item_type);
    if (item == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    (void)resource_text(op, "value", &item->value);
    item->value_list = list->header.id;
    item->created_by = payments_risk_who(op);
    if (!read_entry(op, list, item->value, &item->entry) || !takes(op, list, item->entry)) {
        return;
    }
    err_t error = count_items(op, list, 1);
    if (error != ERR_OK) {
        resource_internal(op, error, "value list");
        return;
    }
    resource_answer_saved(
        op, &payments_value_item_type, item, "value list item", "radar.value_list_item.created");
}

/* Runs `step`, whose state is the id, under the lock of the list that it names. */
static void
lock_list(struct resource_op *op, struct span list, resource_step step)
{
    struct span *id = ARENA_NEW(resource_op_arena(op), struct span);
    if (id == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    *id = list;
    resource_op_set_state(op, id);
    resource_lock(op, list, step);
}

void
payments_value_item_create(struct resource_op *op)
{
    struct span named = SPAN_EMPTY;
    (void)resource_text(op, "value_list", &named);
    if (!payments_risk_lists_ready(op)) {
        return;
    }
    const struct payments_value_list *list = payments_value_list_named(op, "value_list", named);
    if (list != NULL) {
        lock_list(op, list->header.id, item_create_locked);
    }
}

void
payments_value_item_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_value_item_type, resource_op_capture(op, 0));
}

static struct payments_value_item *
require_item(struct resource_op *op)
{
    return resource_require(
        op, &payments_value_item_type, "value_list_item", resource_op_capture(op, 0));
}

static void
item_delete_locked(struct resource_op *op)
{
    struct span id = *(const struct span *)resource_op_state(op);
    struct payments_value_item *item = require_item(op);
    struct payments_value_list *list =
        item == NULL ? NULL : payments_value_list_named(op, "value_list", id);
    if (list == NULL) {
        return;
    }
    err_t error = resource_emit(
        op, "radar.value_list_item.deleted", &payments_value_item_type, item, SPAN_EMPTY);
    if (error == ERR_OK) {
        error = resource_remove(op, &payments_value_item_type, item);
    }
    if (error == ERR_OK) {
        error = count_items(op, list, -1);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "value list item");
        return;
    }
    resource_answer_object(op, &payments_deleted_value_item_type, item);
}

void
payments_value_item_delete(struct resource_op *op)
{
    const struct payments_value_item *item = require_item(op);
    if (item != NULL) {
        lock_list(op, item->value_list, item_delete_locked);
    }
}

void
payments_value_item_list(struct resource_op *op)
{
    static const char url[] = "/v1/radar/value_list_items";
    struct span named = SPAN_EMPTY;
    struct span value = SPAN_EMPTY;
    struct span entry = SPAN_EMPTY;
    (void)resource_text(op, "value_list", &named);
    if (!payments_risk_lists_ready(op)) {
        return;
    }
    const struct payments_value_list *list = payments_value_list_named(op, "value_list", named);
    if (list == NULL) {
        return;
    }
    bool one = resource_text(op, "value", &value);
    if (one && !read_entry(op, list, value, &entry)) {
        return;
    }
    const struct document_filter only = {
        .column = one ? PAYMENTS_VALUE_ITEM_ENTRY : PAYMENTS_VALUE_ITEM_LIST,
        .value = {.text = one ? entry : list->header.id},
    };
    resource_answer_list_of(op, &payments_value_item_type, span_from_cstr(url), &only);
}
