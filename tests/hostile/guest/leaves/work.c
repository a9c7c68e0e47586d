// SPDX-License-Identifier: GPL-2.0
/* Forgets work that was put off by two seconds. */
#include <linux/module.h>
#include <linux/workqueue.h>

static void late_fn(struct work_struct *work)
{
}

static DECLARE_DELAYED_WORK(late, late_fn);

static int __init work_init(void)
{
	return 0;
}
module_init(work_init);

static void __exit work_exit(void)
{
	schedule_delayed_work(&late, 2 * HZ);
	/* The line that is missing: cancel_delayed_work_sync(&late); */
}
module_exit(work_exit);

MODULE_DESCRIPTION("Leaves delayed work behind");
MODULE_LICENSE("GPL");
