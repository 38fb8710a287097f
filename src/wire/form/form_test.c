#include "form/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct t_form {
    struct arena arena;
    struct form_node *root;
    struct span param;
    struct span message;
    char *copy; /* of exact size: a sanitizer sees a read behind it */
    err_t error;
};

static void
t_parse(struct t_form *t, struct span text)
{
    *t = (struct t_form){0};
    arena_init(&t->arena, 1 << 20);
    t->copy = malloc(text.size == 0 ? 1 : text.size);
    assert_non_null(t->copy);
    if (text.size > 0) {
        memcpy(t->copy, text.data, text.size);
    }
    t->error = form_parse(span_of(t->copy, text.size), &t->arena, &t->root, &t->param, &t->message);
}

static void
t_end(struct t_form *t)
{
    arena_release(&t->arena);
    free(t->copy);
}

static void
t_has(const struct t_form *t, const char *name, struct span value)
{
    const struct form_node *node = form_find(t->root, name);
    if (node == NULL) {
        fail_msg("%s is missing", name);
        return;
    }
    assert_int_equal(node->kind, FORM_TEXT);
    if (!span_equal(node->text, value)) {
        fail_msg("%s is %.*s", name, SPAN_PRINTF(node->text));
    }
}

static void
t_stripe(void **state)
{
    (void)state;
    struct t_form t;
    t_parse(
        &t,
        SPAN(
            "amount=2000&currency=usd&payment_method_types[0]=card&payment_method_types%5B1%5D=link"
            "&metadata[order_id]=67%2035&metadata%5bempty%5d=&expand[]=customer&expand[]=latest_"
            "charge"
            "&payment_method_data[card][number]=4242424242424242&description=a+b%2Bc&flag"
            "&items[1][price]=b&items[0][price]=a&items[1][quantity]=2&&unset=&q=a=b"));
    assert_int_equal(t.error, ERR_OK);
    assert_int_equal(t.root->child_count, 11);
    t_has(&t, "amount", SPAN("2000"));
    t_has(&t, "payment_method_types[0]", SPAN("card"));
    t_has(&t, "payment_method_types[1]", SPAN("link"));
    t_has(&t, "metadata[order_id]", SPAN("67 35"));
    t_has(&t, "metadata[empty]", SPAN(""));
    t_has(&t, "expand[0]", SPAN("customer"));
    t_has(&t, "expand[1]", SPAN("latest_charge"));
    t_has(&t, "payment_method_data[card][number]", SPAN("4242424242424242"));
    t_has(&t, "description", SPAN("a b+c"));
    t_has(&t, "flag", SPAN(""));
    t_has(&t, "unset", SPAN(""));
    t_has(&t, "q", SPAN("a=b"));
    const struct form_node *items = form_find(t.root, "items");
    assert_int_equal(items->kind, FORM_ARRAY);
    assert_int_equal(items->child_count, 2);
    assert_int_equal(items->first_child->index, 0);
    assert_int_equal(items->last_child->index, 1);
    assert_ptr_equal(items->first_child->next, items->last_child);
    t_has(&t, "items[0][price]", SPAN("a"));
    const struct form_node *quantity = form_find(t.root, "items[1][quantity]");
    assert_true(span_equal_cstr(form_full_name(quantity, &t.arena), "items[1][quantity]"));
    const struct form_node *second = form_find(t.root, "expand")->last_child;
    assert_true(span_equal_cstr(form_full_name(second, &t.arena), "expand[1]"));
    assert_int_equal(form_full_name(t.root, &t.arena).size, 0);
    assert_null(form_find(t.root, "absent"));
    assert_null(form_find(t.root, "amount[x]"));
    assert_null(form_find(t.root, "metadata[x"));
    assert_null(form_find(t.root, "items[2]"));
    assert_null(form_find(t.root, ""));
    assert_null(form_find(NULL, "amount"));
    assert_null(form_child(NULL, SPAN("amount")));
    assert_null(form_child(form_find(t.root, "amount"), SPAN("amount")));
    t_end(&t);
}

static void
t_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "&", "&&&"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct t_form t;
        t_parse(&t, span_from_cstr(texts[i]));
        assert_int_equal(t.error, ERR_OK);
        assert_int_equal(t.root->kind, FORM_HASH);
        assert_null(t.root->first_child);
        t_end(&t);
    }
}

/* FORM-3: the kind does not depend on the order. */
static void
t_kinds(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        enum form_kind kind;
    } cases[] = {
        {"a[0]=x&a[1]=y", FORM_ARRAY},
        {"a[1]=y&a[0]=x", FORM_ARRAY},
        {"a[]=x&a[]=y", FORM_ARRAY},
        {"a[7]=x", FORM_ARRAY},
        {"a[999999]=x", FORM_ARRAY},
        {"a[1000000]=x", FORM_HASH},
        {"a[00]=x&a[0]=y", FORM_HASH},
        {"a[0]=y&a[00]=x", FORM_HASH},
        {"a[x]=1&a[0]=2", FORM_HASH},
        {"a[0]=2&a[x]=1", FORM_HASH},
        {"a[-1]=x", FORM_HASH},
        {"a[+1]=x", FORM_HASH},
        {"a=x", FORM_TEXT},
        {"a=", FORM_TEXT},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct t_form t;
        t_parse(&t, span_from_cstr(cases[i].text));
        assert_int_equal(t.error, ERR_OK);
        assert_int_equal(form_find(t.root, "a")->kind, cases[i].kind);
        t_end(&t);
    }
    struct t_form t;
    t_parse(&t, SPAN("metadata[0]=2&metadata[x]=1&metadata[007]=3"));
    t_has(&t, "metadata[0]", SPAN("2"));
    t_has(&t, "metadata[x]", SPAN("1"));
    t_has(&t, "metadata[007]", SPAN("3"));
    t_end(&t);
    /* Numeric metadata keys keep their names, though the codec calls the node an array. */
    t_parse(&t, SPAN("metadata[6735]=x"));
    assert_true(span_equal(form_find(t.root, "metadata")->first_child->name, SPAN("6735")));
    assert_non_null(form_child(form_find(t.root, "metadata"), SPAN("6735")));
    t_end(&t);
}

static const struct {
    struct span text;
    const char *param;
    err_t error;
} refused[] = {
    {SPAN("a=1&a=1"), "a", ERR_INVALID},
    {SPAN("a[b]=1&a[b]=2"), "a[b]", ERR_INVALID},
    {SPAN("a[0]=1&a%5B0%5D=2"), "a[0]", ERR_INVALID},
    {SPAN("a=1&a[b]=2"), "a[b]", ERR_INVALID},
    {SPAN("a=&a[b]=2"), "a[b]", ERR_INVALID},
    {SPAN("a[b]=2&a=1"), "a", ERR_INVALID},
    {SPAN("a[]=1&a=2"), "a", ERR_INVALID},
    {SPAN("a=1&a[]=2"), "a[]", ERR_INVALID},
    {SPAN("a[b][c]=2&a[b]=1"), "a[b]", ERR_INVALID},
    {SPAN("a[b]=1&a[b][c]=2"), "a[b][c]", ERR_INVALID},
    {SPAN("a[]=1&a[0]=2"), "a[0]", ERR_INVALID},
    {SPAN("a[0]=1&a[]=2"), "a[]", ERR_INVALID},
    {SPAN("a[]=1&a[b]=2"), "a[b]", ERR_INVALID},
    {SPAN("a[b]=1&a[]=2"), "a[]", ERR_INVALID},
    {SPAN("a[][b]=1"), "a[][b]", ERR_INVALID},
    {SPAN("a[b=1"), "a[b", ERR_INVALID},
    {SPAN("a]=1"), "a]", ERR_INVALID},
    {SPAN("a]b[=1"), "a]b[", ERR_INVALID},
    {SPAN("a[b]c=1"), "a[b]c", ERR_INVALID},
    {SPAN("a[b]c[d]=1"), "a[b]c[d]", ERR_INVALID},
    {SPAN("a[[b]]=1"), "a[[b]]", ERR_INVALID},
    {SPAN("a[b]]=1"), "a[b]]", ERR_INVALID},
    {SPAN("a[=1"), "a[", ERR_INVALID},
    {SPAN("[a]=1"), "[a]", ERR_INVALID},
    {SPAN("[]=1"), "[]", ERR_INVALID},
    {SPAN("=1"), "", ERR_INVALID},
    {SPAN("="), "", ERR_INVALID},
    {SPAN("a=%"), "a", ERR_INVALID},
    {SPAN("a=%4"), "a", ERR_INVALID},
    {SPAN("a=%4g"), "a", ERR_INVALID},
    {SPAN("a=%zz"), "a", ERR_INVALID},
    {SPAN("a=x%00y"), "a", ERR_INVALID},
    {SPAN("a=x\0y"), "a", ERR_INVALID},
    {SPAN("a=%ff"), "a", ERR_INVALID},
    {SPAN("a=\xc3"), "a", ERR_INVALID},
    {SPAN("a=%ed%a0%80"), "a", ERR_INVALID},
    {SPAN("a%00=1"), "", ERR_INVALID},
    {SPAN("a\0=1"), "", ERR_INVALID},
    {SPAN("a%ff=1"), "", ERR_INVALID},
    {SPAN("a%=1"), "", ERR_INVALID},
    {SPAN("a[1][2][3][4][5][6][7][8]=1"), "a[1][2][3][4][5][6][7][8]", ERR_INVALID},
};

static void
t_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct t_form t;
        t_parse(&t, refused[i].text);
        if (t.error != refused[i].error || !span_equal_cstr(t.param, refused[i].param)) {
            print_error(
                "%.*s: %.*s, %.*s\n",
                SPAN_PRINTF(refused[i].text),
                SPAN_PRINTF(t.param),
                SPAN_PRINTF(t.message));
        }
        assert_int_equal(t.error, refused[i].error);
        assert_true(span_equal_cstr(t.param, refused[i].param));
        assert_true(t.message.size > 10);
        assert_true(t.message.size < FORM_MESSAGE_SIZE);
        t_end(&t);
    }
}

static void
t_longest_message(void **state)
{
    (void)state;
    char text[FORM_NAME_MAX + 3];
    struct t_form t;
    memset(text, 'n', FORM_NAME_MAX);
    memcpy(text + FORM_NAME_MAX, "=%", 3);
    t_parse(&t, span_from_cstr(text));
    assert_int_equal(t.error, ERR_INVALID);
    assert_int_equal(t.param.size, FORM_NAME_MAX);
    assert_true(t.message.size < FORM_MESSAGE_SIZE);
    t_end(&t);
}

/* Messages name parameters, never values: a value may be a card number. */
static void
t_no_value_in_message(void **state)
{
    (void)state;
    struct t_form t;
    t_parse(&t, SPAN("number=4242424242424242&number=4242424242424242%"));
    assert_int_equal(t.error, ERR_INVALID);
    assert_true(span_equal_cstr(t.param, "number"));
    assert_null(memmem(t.message.data, t.message.size, "4242", 4));
    t_end(&t);
}

static void
t_depth(void **state)
{
    (void)state;
    struct t_form t;
    t_parse(&t, SPAN("a[b][c][d][e][f][g][h]=1"));
    assert_int_equal(t.error, ERR_OK);
    t_has(&t, "a[b][c][d][e][f][g][h]", SPAN("1"));
    t_end(&t);
}

static void
t_limits(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    struct t_form t;
    for (unsigned count = FORM_PARAMS_MAX; count <= FORM_PARAMS_MAX + 1; count++) {
        buf_clear(&text);
        for (unsigned i = 0; i < count; i++) {
            buf_append_format(&text, "&a%u[b%u]=1", i % 100, i);
        }
        t_parse(&t, buf_span(&text));
        assert_int_equal(t.error, count == FORM_PARAMS_MAX ? ERR_OK : ERR_FULL);
        t_end(&t);
    }
    for (unsigned count = FORM_CHILDREN_MAX; count <= FORM_CHILDREN_MAX + 1; count++) {
        buf_clear(&text);
        for (unsigned i = 0; i < count; i++) {
            buf_append_format(&text, "&a[]=1");
        }
        t_parse(&t, buf_span(&text));
        assert_int_equal(t.error, count == FORM_CHILDREN_MAX ? ERR_OK : ERR_FULL);
        t_end(&t);
    }
    for (unsigned size = FORM_NAME_MAX; size <= FORM_NAME_MAX + 1; size++) {
        buf_clear(&text);
        for (unsigned i = 0; i < size; i++) {
            buf_append_cstr(&text, i % 2 == 0 ? "a" : "%61");
        }
        buf_append_cstr(&text, "=1&");
        t_parse(&t, buf_span(&text));
        assert_int_equal(t.error, size == FORM_NAME_MAX ? ERR_OK : ERR_INVALID);
        t_end(&t);
    }
    buf_release(&text);
    for (size_t limit = 0; limit < 2000; limit += 16) {
        struct arena arena;
        struct form_node *root;
        struct span param;
        struct span message;
        arena_init(&arena, limit);
        err_t error = form_parse(SPAN("a[b]=1&c=2&a[b]=3"), &arena, &root, &param, &message);
        assert_true(error == ERR_FULL || error == ERR_INVALID);
        assert_true(message.size > 10);
        arena_release(&arena);
    }
}

static void
t_remove(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct t_form t;
        t_parse(&t, SPAN("a=1&b=2&c=3"));
        const char *const names[] = {"a", "b", "c"};
        form_remove(form_find(t.root, names[i]));
        assert_null(form_find(t.root, names[i]));
        assert_non_null(form_find(t.root, names[(i + 1) % 3]));
        assert_non_null(form_find(t.root, names[(i + 2) % 3]));
        assert_int_equal(t.root->child_count, 2);
        assert_null(t.root->last_child->next);
        form_remove(t.root->first_child);
        form_remove(t.root->first_child);
        assert_null(t.root->first_child);
        assert_null(t.root->last_child);
        t_end(&t);
    }
}

static void
t_writing(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    form_append(&out, "amount", SPAN("1"));
    form_append_i64(&out, "items[0][price]", -20);
    form_append(&out, "metadata[a b]", SPAN("x&y=z+\xc3\xa4 ~"));
    form_append(&out, "unset", SPAN_EMPTY);
    assert_true(span_equal_cstr(
        buf_span(&out), "amount=1&items[0][price]=-20&metadata[a+b]=x%26y%3Dz%2B%C3%A4+~&unset="));
    struct t_form t;
    t_parse(&t, buf_span(&out));
    assert_int_equal(t.error, ERR_OK);
    t_has(&t, "amount", SPAN("1"));
    t_has(&t, "items[0][price]", SPAN("-20"));
    t_has(&t, "metadata[a b]", SPAN("x&y=z+\xc3\xa4 ~"));
    t_has(&t, "unset", SPAN(""));
    t_end(&t);
    buf_release(&out);
}

/* Wiping the arena wipes what was decoded: the copies are nowhere else. */
static void
t_values_in_arena(void **state)
{
    (void)state;
    struct t_form t;
    t_parse(&t, SPAN("number=4242424242424242"));
    const char *number = form_find(t.root, "number")->text.data;
    assert_false(number >= t.copy && number < t.copy + 23);
    assert_memory_equal(number, "4242424242424242", 16);
    arena_wipe(&t.arena); /* keeps its block, so the memory may still be looked at */
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(number[i], 0);
    }
    t_end(&t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_stripe),
        cmocka_unit_test(t_empty),
        cmocka_unit_test(t_kinds),
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_longest_message),
        cmocka_unit_test(t_depth),
        cmocka_unit_test(t_no_value_in_message),
        cmocka_unit_test(t_limits),
        cmocka_unit_test(t_remove),
        cmocka_unit_test(t_writing),
        cmocka_unit_test(t_values_in_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
