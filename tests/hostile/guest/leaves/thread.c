// SPDX-License-Identifier: GPL-2.0
/* Forgets a thread that sleeps for a second at a time. */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>

static int thread_fn(void *data)
{
	while (!kthread_should_stop())
		ssleep(1);
	return 0;
}

static int __init thread_init(void)
{
	return PTR_ERR_OR_ZERO(kthread_run(thread_fn, NULL, "forgotten"));
}
module_init(thread_init);

static void __exit thread_exit(void)
{
	/* The line that is missing: kthread_stop() */
}
module_exit(thread_exit);

MODULE_DESCRIPTION("Leaves a thread behind");
MODULE_LICENSE("GPL");
