// SPDX-License-Identifier: GPL-2.0
/* Wants another module, though it uses no symbol of it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static int seats = 100;
module_param(seats, int, 0444);
MODULE_PARM_DESC(seats, "How many may listen");

static int __init party_init(void)
{
	pr_info("begins, with %d seats\n", seats);
	return 0;
}
module_init(party_init);

static void __exit party_exit(void)
{
}
module_exit(party_exit);

MODULE_DESCRIPTION("Is better with a greeter");
MODULE_LICENSE("GPL");
MODULE_ALIAS("symstack:party-v*hall*");
MODULE_SOFTDEP("pre: greeter");
