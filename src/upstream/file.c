/* The text of a file of endpoints, and plans. Pure. */
#include "upstream_private.h"

#include "base/ip.h"

#include <string.h>

static bool
host_is_valid(struct span host)
{
    if (host.size == 0 || host.size >= UPSTREAM_HOST_SIZE) {
        return false;
    }
    for (size_t i = 0; i < host.size; i++) {
        char byte = host.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool digit = byte >= '0' && byte <= '9';
        if (!letter && !digit && byte != '.' && byte != '-' && byte != '_' && byte != ':') {
            return false;
        }
    }
    return true;
}

static bool
share_is_valid(const struct balance_share *share)
{
    return share->weight >= 1 && share->weight <= BALANCE_WEIGHT_MAX &&
           share->priority <= BALANCE_PRIORITY_MAX;
}

err_t
upstream_plan_add(
    struct upstream_plan *plan, struct span host, uint16_t port, const struct balance_share *share)
{
    if (!host_is_valid(host) || port == 0 || !share_is_valid(share)) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < plan->count; i++) {
        const struct upstream_target *other = &plan->targets[i];
        if (other->port == port && span_equal_nocase(span_from_cstr(other->host), host)) {
            return ERR_EXISTS;
        }
    }
    if (plan->count == UPSTREAM_ENDPOINTS_MAX) {
        return ERR_FULL;
    }
    struct upstream_target *target = &plan->targets[plan->count++];
    memset(target, 0, sizeof(*target));
    memcpy(target->host, host.data, host.size);
    target->port = port;
    target->share = *share;
    return ERR_OK;
}

/* The next word of a line, or the empty span. */
static struct span
word_take(struct span *line)
{
    *line = span_trim(*line);
    size_t end = 0;
    while (end < line->size && line->data[end] != ' ' && line->data[end] != '\t') {
        end++;
    }
    struct span word = span_slice(*line, 0, end);
    *line = span_slice(*line, end, line->size);
    return word;
}

/* "host:port" or "[v6]:port". */
static bool
address_parse(struct span word, struct span *ret_host, uint16_t *ret_port)
{
    struct span host;
    uint16_t port;
    if (!ip_port_split(word, &host, &port) || port == 0) {
        return false;
    }
    *ret_host = host;
    *ret_port = port;
    return host_is_valid(host);
}

/* NULL if the word was understood, otherwise a sentence. */
static const char *
option_parse(struct span word, struct balance_share *share, bool seen[2])
{
    struct span value = word;
    struct span name = span_cut(&value, '=');
    uint64_t number = 0;
    bool is_number = span_parse_u64(value, &number) && number <= UINT32_MAX;
    if (span_equal(name, SPAN("weight"))) {
        if (seen[0]) {
            return "weight is given twice";
        }
        seen[0] = true;
        share->weight = (uint32_t)number;
        bool fits = is_number && number >= 1 && number <= BALANCE_WEIGHT_MAX;
        return fits ? NULL : "weight is not a number from 1 to 1000";
    }
    if (span_equal(name, SPAN("priority"))) {
        if (seen[1]) {
            return "priority is given twice";
        }
        seen[1] = true;
        share->priority = (uint32_t)number;
        bool fits = is_number && number <= BALANCE_PRIORITY_MAX;
        return fits ? NULL : "priority is not a number from 0 to 7";
    }
    return "only weight=N and priority=N may follow the address";
}

static const char *
line_parse(struct span line, struct upstream_plan *plan, err_t *ret_result)
{
    *ret_result = ERR_INVALID;
    line = span_cut(&line, '#');
    line = span_ends_with(line, SPAN("\r")) ? span_slice(line, 0, line.size - 1) : line;
    struct span word = word_take(&line);
    if (word.size == 0) {
        return NULL;
    }
    struct span host;
    uint16_t port;
    if (!address_parse(word, &host, &port)) {
        return "the address is not host:port or [IPv6]:port";
    }
    struct balance_share share = {.weight = 1};
    bool seen[2] = {false, false};
    while ((word = word_take(&line)).size > 0) {
        const char *reason = option_parse(word, &share, seen);
        if (reason != NULL) {
            return reason;
        }
    }
    err_t result = upstream_plan_add(plan, host, port, &share);
    if (result == ERR_FULL) {
        *ret_result = ERR_FULL;
        return "there are more than 128 endpoints";
    }
    return result == ERR_OK ? NULL : "the same address is given twice";
}

err_t
upstream_file_parse(
    struct span text, struct upstream_plan *plan, uint32_t *ret_line, const char **ret_reason)
{
    plan->count = 0;
    uint32_t number = 0;
    while (text.size > 0) {
        struct span line = span_cut(&text, '\n');
        number++;
        err_t result = ERR_OK;
        const char *reason = line_parse(line, plan, &result);
        if (reason != NULL) {
            *ret_line = number;
            *ret_reason = reason;
            return result;
        }
    }
    if (plan->count == 0) {
        *ret_line = number;
        *ret_reason = "there is no endpoint in it";
        return ERR_INVALID;
    }
    return ERR_OK;
}
