// SPDX-License-Identifier: GPL-2.0
/* Forgets a thread that sleeps for longer than any proof waits. */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>

static int sleeper_fn(void *data)
{
	for (;;)
		msleep(600 * MSEC_PER_SEC);
	return 0;
}

static int __init sleeper_init(void)
{
	return PTR_ERR_OR_ZERO(kthread_run(sleeper_fn, NULL, "sleeper"));
}
module_init(sleeper_init);

static void __exit sleeper_exit(void)
{
	/* The lines that are missing: something that wakes and ends it. */
}
module_exit(sleeper_exit);

MODULE_DESCRIPTION("Leaves a sleeping thread behind");
MODULE_LICENSE("GPL");
