// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps a total for other modules. sample.h states the contract of every
 * exported function.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/spinlock.h>

#include "sample.h"

static DEFINE_SPINLOCK(total_lock);
static s64 total;

int sample_add(s64 amount)
{
	unsigned long flags;
	int error = 0;
	s64 sum;

	spin_lock_irqsave(&total_lock, flags);
	if (check_add_overflow(total, amount, &sum))
		error = -ERANGE;
	else
		total = sum;
	spin_unlock_irqrestore(&total_lock, flags);

	return error;
}
EXPORT_SYMBOL_GPL(sample_add);

s64 sample_total(void)
{
	unsigned long flags;
	s64 now;

	spin_lock_irqsave(&total_lock, flags);
	now = total;
	spin_unlock_irqrestore(&total_lock, flags);

	return now;
}
EXPORT_SYMBOL_GPL(sample_total);

static int __init sample_init(void)
{
	pr_info("ready\n");
	return 0;
}
module_init(sample_init);

static void __exit sample_exit(void)
{
	pr_info("ends at %lld\n", total);
}
module_exit(sample_exit);

MODULE_DESCRIPTION("Keeps a total for other modules");
MODULE_LICENSE("GPL");
