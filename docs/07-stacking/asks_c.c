// SPDX-License-Identifier: GPL-2.0
/* Looks for greeter_c_hello when it is loaded, and does without if it must. */
#include <linux/module.h>

#include "greeter_c.h"

/* ANCHOR: asks */
static int __init asks_init(void)
{
	typeof(&greeter_c_hello) hello = symbol_get(greeter_c_hello);
	int err;

	if (!hello) {
		pr_info("asks_c: nobody greets here\n");
		return 0;
	}
	err = hello("asks_c");
	symbol_put(greeter_c_hello);
	return err;
}
/* ANCHOR_END: asks */
module_init(asks_init);

static void __exit asks_exit(void)
{
}
module_exit(asks_exit);

MODULE_DESCRIPTION("Is greeted where there is a greeter");
MODULE_LICENSE("GPL");
