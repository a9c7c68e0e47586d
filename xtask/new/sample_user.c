// SPDX-License-Identifier: GPL-2.0
/*
 * Adds to the total of sample for as long as it is loaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "sample.h"

static int amount = 2;
module_param(amount, int, 0444);
MODULE_PARM_DESC(amount, "What is added to the total");

static int __init sample_user_init(void)
{
	int error = sample_add(amount);

	if (error)
		return error;
	pr_info("%lld in all\n", sample_total());
	return 0;
}
module_init(sample_user_init);

static void __exit sample_user_exit(void)
{
	/* The sum fits, and so does the rest. */
	sample_add(-(s64)amount);
}
module_exit(sample_user_exit);

MODULE_DESCRIPTION("Adds to the total of sample");
MODULE_LICENSE("GPL");
