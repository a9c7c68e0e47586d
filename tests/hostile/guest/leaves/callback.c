// SPDX-License-Identifier: GPL-2.0
/* Forgets a callback of RCU that asks for itself again. */
#include <linux/module.h>
#include <linux/rcupdate.h>

static struct rcu_head head;

static void again_fn(struct rcu_head *head)
{
	call_rcu(head, again_fn);
}

static int __init callback_init(void)
{
	call_rcu(&head, again_fn);
	return 0;
}
module_init(callback_init);

static void __exit callback_exit(void)
{
	/* The line that is missing: a flag that stops it, and rcu_barrier(). */
}
module_exit(callback_exit);

MODULE_DESCRIPTION("Leaves an RCU callback behind");
MODULE_LICENSE("GPL");
