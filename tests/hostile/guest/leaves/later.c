// SPDX-License-Identifier: GPL-2.0
/* Forgets a timer of ten minutes. */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/timer.h>

static void late_fn(struct timer_list *timer)
{
}

static DEFINE_TIMER(late, late_fn);

static int __init later_init(void)
{
	mod_timer(&late, jiffies + 600 * HZ);
	return 0;
}
module_init(later_init);

static void __exit later_exit(void)
{
	/* The line that is missing: timer_delete_sync(&late); */
}
module_exit(later_exit);

MODULE_DESCRIPTION("Leaves a timer behind that no proof waits for");
MODULE_LICENSE("GPL");
