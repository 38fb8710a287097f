/* Queries against single objects: which match. */
#include "testing.h"

#include "search.h"

#include <string.h>

/* An operation with nothing around it: enough to bind in. */
struct t_bound {
    struct resource_runtime runtime;
    struct resource_op op;
    struct arena arena;
    struct resource_search_terms terms;
};

static bool
t_bind(struct t_bound *t, const char *text)
{
    struct query query;
    struct span message = SPAN_EMPTY;
    memset(t, 0, sizeof(*t));
    t->op.runtime = &t->runtime;
    list_init(&t->runtime.pending);
    arena_init(&t->op.arena, 1 << 20);
    arena_init(&t->arena, 1 << 20);
    if (query_parse(span_from_cstr(text), &t->op.arena, &query, &message) != ERR_OK) {
        fail_msg("%s: %.*s", text, SPAN_PRINTF(message));
    }
    return resource_search_bind(&t->op, &t_thing_search, &query, &t->terms);
}

static void
t_end(struct t_bound *t)
{
    buf_release(&t->op.body);
    arena_release(&t->op.arena);
    arena_release(&t->arena);
}

static bool
t_matches(const struct t_thing *thing, const char *text)
{
    struct t_bound t;
    bool matches = false;
    if (!t_bind(&t, text)) {
        fail_msg("%s: %.*s", text, SPAN_PRINTF(buf_span(&t.op.body)));
    }
    assert_int_equal(resource_search_match(&t.terms, thing, &t.arena, &matches), ERR_OK);
    t_end(&t);
    return matches;
}

static const struct t_thing full = {
    .header = {.id = SPAN("th_1"), .created = 1700000000},
    .name = SPAN("Stra\xc3\x9f"
                 "e \xc3\x89t\xc3\xa9 \"x\""),
    .colour = SPAN("Red"),
    .parent = SPAN("th_Ab"),
    .count = 100,
    .metadata = SPAN("{\"order\":\"A-17\",\"k\\\"ey\":\"va\\\\lue\",\"empty\":\"\",\"list\":[1],"
                     "\"null\":null,\"box\":{\"size\":12,\"label\":\"Big\",\"text\":\"7\"}}"),
};
static const struct t_thing bare = {.header = {.id = SPAN("th_2"), .created = 5}};

/* What holds for `full`; `bare` is the other way round where `differs`. */
static const struct {
    const char *query;
    bool full, bare;
} cases[] = {
    {"colour:\"red\"", true, false},
    {"colour:'RED'", true, false},
    {"colour:\"re\"", false, false},
    {"colour:\"redd\"", false, false},
    {"-colour:\"red\"", false, true},
    {"colour:null", false, true},
    {"-colour:null", true, false},
    {"colour~\"red\"  name:null", false, false},
    {"colour~\"RED\"", true, false},
    {"name~\"\xc3\xa9T\xc3\x89\"", true, false},
    {"name~\"SSE\"", false, false},
    {"name~'\"x\"'", true, false},
    {"name:'stra\xc3\x9f"
     "e \xc3\xa9t\xc3\xa9 \"X\"'",
     true,
     false},
    {"-name~\"xyz\"", true, true},
    {"parent:\"th_Ab\"", true, false},
    {"parent:\"th_ab\"", false, false},
    {"parent:null", false, true},
    {"count:100", true, false},
    {"count=100", true, false},
    {"count:'100'", true, false},
    {"count>99", true, false},
    {"count>100", false, false},
    {"count>=100", true, false},
    {"count<100", false, true},
    {"count<=100", true, true},
    {"count:0", false, true},
    {"count>-1", true, true},
    {"count:null", false, false},
    {"-count>99", false, true},
    {"created>=1700000000", true, false},
    {"created<10", false, true},
    {"heavy:true", true, false},
    {"heavy:'false'", false, true},
    {"heavy:null", false, false},
    {"metadata[\"order\"]:\"a-17\"", true, false},
    {"metadata[\"Order\"]:\"A-17\"", false, false},
    {"metadata['order']~'-17'", true, false},
    {"metadata['k\"ey']:'va\\\\lue'", true, false},
    {"metadata[\"order\"]:null", false, true},
    {"-metadata[\"order\"]:null", true, false},
    {"metadata[\"empty\"]:null", true, true},
    {"metadata[\"list\"]:null", true, true},
    {"metadata[\"null\"]:null", true, true},
    {"metadata[\"box\"]:null", true, true},
    {"metadata[\"box.size\"]:12", false, false},
    {"metadata.box.size:12", true, false},
    {"metadata.box.size>11", true, false},
    {"metadata.box.size<12", false, false},
    {"metadata.box.size:null", false, true},
    {"metadata.box.label:\"big\"", true, false},
    {"colour:'red' count:100", true, false},
    {"colour:'red' count:5", false, false},
    {"colour:'red' OR count:0", true, true},
    {"colour:'blue' OR count:5", false, false},
    {"colour:'blue' OR count:5 OR created>0", true, true},
    {"-colour:'red' OR -count:100", false, true},
};

static void
queries_match_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (t_matches(&full, cases[i].query) != cases[i].full ||
            t_matches(&bare, cases[i].query) != cases[i].bare) {
            fail_msg("%s", cases[i].query);
        }
    }
}

static void
damage_is_told(void **state)
{
    (void)state;
    struct t_thing damaged = full;
    struct t_bound t;
    bool matches;
    damaged.metadata = SPAN("{\"order\":\"A-17\"");
    assert_true(t_bind(&t, "metadata[\"other\"]:null"));
    assert_int_equal(resource_search_match(&t.terms, &damaged, &t.arena, &matches), ERR_CORRUPT);
    t_end(&t);
}

static const struct {
    const char *query;
    const char *message;
} refused[] = {
    {"weight:1",
     "Field `weight` at character 1 is an unsupported search field for resource "
     "`things`. Supported fields: name, colour, parent, count, created, metadata, "
     "metadata.box.size, metadata.box.label, heavy."},
    {"count:1 OR Name:'x'", "Field `Name` at character 12 is an unsupported search field"},
    {"name>'a'", "Field `name` at character 1 is a text, which goes with : and ~ only."},
    {"metadata['k']<='a'", "Field `metadata` at character 1 is a text"},
    {"parent~'th_'", "Field `parent` at character 1 is an id, which goes with : only."},
    {"heavy>true", "Field `heavy` at character 1 is true or false, which goes with : only."},
    {"heavy:'yes'", "Field `heavy` at character 1 is either true or false."},
    {"heavy:1", "Field `heavy` at character 1 is either true or false."},
    {"name:'x' count~'100'", "Field `count` at character 10 is a number, which goes with"},
    {"count:'ten'", "Field `count` at character 1 is compared with whole numbers"},
    {"count:true", "Field `count` at character 1 is compared with whole numbers"},
    {"count>99999999999999999999", "Field `count` at character 1 is compared with whole numbers"},
    {"metadata:'x'", "Field `metadata` at character 1 needs a key, as in metadata[\\\"key\\\"]"},
    {"name['k']:'x'", "Field `name` at character 1 has no keys in brackets."},
    {"metadata.box.size['k']:1", "Field `metadata.box.size` at character 1 has no keys"},
};

static void
what_does_not_fit_the_field_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct t_bound t;
        assert_false(t_bind(&t, refused[i].query));
        assert_int_equal(t.op.status, 400);
        struct span body = buf_span(&t.op.body);
        if (memmem(body.data, body.size, refused[i].message, strlen(refused[i].message)) == NULL ||
            memmem(body.data, body.size, "\"param\":\"query\"", 15) == NULL) {
            fail_msg("%s: %.*s", refused[i].query, SPAN_PRINTF(body));
        }
        t_end(&t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_match_what_they_say),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(what_does_not_fit_the_field_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
