// SPDX-License-Identifier: GPL-2.0
/* Forgets a timer of one second. */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/timer.h>

static struct timer_list tick;

static void tick_fn(struct timer_list *timer)
{
	mod_timer(timer, jiffies + HZ);
}

static int __init timer_init(void)
{
	timer_setup(&tick, tick_fn, 0);
	mod_timer(&tick, jiffies + HZ);
	return 0;
}
module_init(timer_init);

static void __exit timer_exit(void)
{
	/* The line that is missing: timer_delete_sync(&tick); */
}
module_exit(timer_exit);

MODULE_DESCRIPTION("Leaves a timer behind");
MODULE_LICENSE("GPL");
