/*
 * What a request is counted against: its route, its key, its client's address, each as the route
 * says and as all routes together say. Places (requests under way) are this process's own; rates
 * are too, unless there is a Redis.
 */
#include "gateway_private.h"

#include "base/assert.h"
#include "base/ip.h"

#include <string.h>

enum subject {
    SUBJECT_ALL,
    SUBJECT_KEY,
    SUBJECT_ADDRESS,
};

static uint64_t
subject_of(struct hash_key key, enum subject kind, struct span who, struct span route)
{
    return hash_keyed(key, who) ^ hash_u64(hash_keyed(key, route) + (uint64_t)kind + 1);
}

static void
check_add(
    struct gateway_request *request,
    const struct gateway_limit_rule *rule,
    enum subject kind,
    struct span who,
    const struct gateway_route *route)
{
    if (gateway_limit_rule_is_empty(rule)) {
        return;
    }
    ASSERT(request->check_count < GATEWAY_LIMIT_CHECKS_MAX);
    /* By name, so that a reload does not forget what was counted. */
    struct span name = route == NULL ? SPAN_EMPTY : span_from_cstr(route->name);
    if (request->generation->redis != NULL) {
        struct hash_key shared = gateway_redis_hash_key(request->generation->redis);
        request->shared[request->check_count] = subject_of(shared, kind, who, name);
    }
    request->checks[request->check_count++] = (struct gateway_limit_check){
        .subject = subject_of(request->gateway->hash_key, kind, who, name), .rule = *rule};
}

/* An IPv6 customer has a /64 at least; counting addresses would count nothing. */
static struct span
client_network(const struct gateway_request *request)
{
    const uint8_t *ip = request->forwarded.hops[0];
    return span_of(ip, ip_is_v4(ip) ? 16 : 8);
}

static void
checks_of(
    struct gateway_request *request,
    const struct gateway_limits *limits,
    const struct gateway_route *route)
{
    struct gateway_limit_rule key_rule = limits->key;
    const struct gateway_key_rule *own = request->key_rule;
    if (own != NULL && route == NULL) {
        key_rule = gateway_limit_rule_is_empty(&own->rule) ? key_rule : own->rule;
    }
    check_add(request, &limits->address, SUBJECT_ADDRESS, client_network(request), route);
    if (request->key.kind != GATEWAY_KEY_NONE) {
        check_add(request, &key_rule, SUBJECT_KEY, request->key.text, route);
    }
    check_add(request, &limits->all, SUBJECT_ALL, SPAN_EMPTY, route);
}

static void
refuse(struct gateway_request *request, enum gateway_limit_reason reason, uint64_t retry_ns)
{
    request->verdict =
        reason == GATEWAY_LIMIT_RATE ? GATEWAY_LIMITED_RATE : GATEWAY_LIMITED_CONCURRENCY;
    gateway_answer_limited(request, reason, retry_ns);
    gateway_request_finish(request);
}

static bool
has_rates(const struct gateway_request *request)
{
    for (uint32_t i = 0; i < request->check_count; i++) {
        if (request->checks[i].rule.interval_ns != 0) {
            return true;
        }
    }
    return false;
}

void
gateway_limits_apply(struct gateway_request *request)
{
    struct gateway *gateway = request->gateway;
    checks_of(request, &request->generation->config->limits, NULL);
    checks_of(request, &request->route->limits, request->route);
    if (request->check_count == 0) {
        gateway_request_admitted(request);
        return;
    }
    struct gateway_redis *redis = request->generation->redis;
    bool shared = redis != NULL && has_rates(request);
    struct gateway_limit_verdict verdict;
    gateway_limit_take(
        gateway->limits, request->checks, request->check_count, shared, net_now_ns(), &verdict);
    if (verdict.reason != GATEWAY_LIMIT_NONE) {
        refuse(request, verdict.reason, verdict.retry_ns);
        return;
    }
    request->has_places = true;
    if (!shared) {
        gateway_request_admitted(request);
    } else if (!gateway_redis_ask(redis, request)) {
        gateway_limits_fall_back(request);
    }
}

void
gateway_limits_decided(struct gateway_request *request, bool allowed, uint64_t retry_ns)
{
    if (allowed) {
        gateway_request_admitted(request);
    } else {
        refuse(request, GATEWAY_LIMIT_RATE, retry_ns);
    }
}

void
gateway_limits_fall_back(struct gateway_request *request)
{
    struct gateway_limit_verdict verdict;
    gateway_limit_take_rates(
        request->gateway->limits, request->checks, request->check_count, net_now_ns(), &verdict);
    gateway_limits_decided(request, verdict.reason == GATEWAY_LIMIT_NONE, verdict.retry_ns);
}

void
gateway_limits_release(struct gateway_request *request)
{
    if (request->has_places) {
        gateway_limit_release(request->gateway->limits, request->checks, request->check_count);
        request->has_places = false;
    }
}
