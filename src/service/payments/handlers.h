/* What the routes of this folder's tables run: routes.c, routes_qr.c, routes_setup.c. */
#ifndef PAYMENTS_HANDLERS_H
#define PAYMENTS_HANDLERS_H

#include "resource/resource.h"

void payments_intent_create(struct resource_op *op);
void payments_payer_approve(struct resource_op *op);
void payments_payer_reject(struct resource_op *op);
void payments_qr_code_create(struct resource_op *op);
void payments_qr_code_retrieve(struct resource_op *op);
void payments_qr_code_update(struct resource_op *op);
void payments_qr_code_list(struct resource_op *op);
void payments_qr_decode(struct resource_op *op);
void payments_qr_pay(struct resource_op *op);
void payments_qr_page_show(struct resource_op *op);
void payments_intent_retrieve(struct resource_op *op);
void payments_intent_trace(struct resource_op *op); /* trace.c */
void payments_intent_update(struct resource_op *op);
void payments_intent_list(struct resource_op *op);
void payments_intent_search(struct resource_op *op);
void payments_intent_confirm(struct resource_op *op);
void payments_intent_capture(struct resource_op *op);
void payments_intent_cancel(struct resource_op *op);
void payments_intent_increment(struct resource_op *op);
void payments_page_show(struct resource_op *op);
void payments_page_submit(struct resource_op *op);
void payments_setup_create(struct resource_op *op);
void payments_setup_retrieve(struct resource_op *op);
void payments_setup_update(struct resource_op *op);
void payments_setup_list(struct resource_op *op);
void payments_setup_confirm(struct resource_op *op);
void payments_setup_cancel(struct resource_op *op);
void payments_setup_attempt_list(struct resource_op *op);
void payments_method_create(struct resource_op *op);
void payments_method_retrieve(struct resource_op *op);
void payments_method_update(struct resource_op *op);
void payments_method_list(struct resource_op *op);
void payments_method_attach(struct resource_op *op);
void payments_method_detach(struct resource_op *op);
void payments_customer_create(struct resource_op *op);
void payments_customer_retrieve(struct resource_op *op);
void payments_customer_update(struct resource_op *op);
void payments_customer_delete(struct resource_op *op);
void payments_customer_list(struct resource_op *op);
void payments_customer_search(struct resource_op *op);
void payments_customer_method_list(struct resource_op *op);
void payments_customer_method_retrieve(struct resource_op *op);
void payments_charge_retrieve(struct resource_op *op);
void payments_charge_update(struct resource_op *op);
void payments_charge_list(struct resource_op *op);
void payments_charge_search(struct resource_op *op);
void payments_refund_create(struct resource_op *op);
void payments_refund_retrieve(struct resource_op *op);
void payments_refund_update(struct resource_op *op);
void payments_refund_list(struct resource_op *op);
void payments_balance_retrieve(struct resource_op *op);
void payments_balance_transaction_retrieve(struct resource_op *op);
void payments_balance_transaction_list(struct resource_op *op);

#endif
