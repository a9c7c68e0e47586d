// SPDX-License-Identifier: GPL-2.0

//! The safe side of `provider.h`, and the device that hands a counter out. All that is `unsafe`
//! in this module is here.

use kernel::{
    container_of,
    error::{
        from_err_ptr,
        to_result, //
    },
    fs::{
        File,
        Kiocb, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    prelude::*,
    sync::Arc, //
};

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    non_camel_case_types,
    reason = "provider.h is written for C, and for more users than this one"
)]
mod bindings {
    //! The declarations of `provider.h`, as bindgen reads it.
    use kernel::ffi;

    include!(env!("PROVIDER_BINDINGS"));
}

/// A counter of the provider module, registered for as long as this value lives.
///
/// # Invariants
///
/// The pointer was returned by `provider_register` and has not been unregistered.
pub(crate) struct Counter(*mut bindings::provider_counter);

// SAFETY: A counter belongs to no thread: provider's functions may be called from any.
unsafe impl Send for Counter {}

// SAFETY: All methods that take `&self` are atomic in provider.
unsafe impl Sync for Counter {}

impl Counter {
    /// Registers a counter and sets it to `start`.
    pub(crate) fn new(name: &CStr, start: i64) -> Result<Self> {
        // SAFETY: `name` is NUL-terminated and borrowed for the call.
        let counter = from_err_ptr(unsafe { bindings::provider_register(name.as_char_ptr()) })?;
        // SAFETY: `counter` has just been registered.
        unsafe { bindings::provider_set(counter, start) };

        // INVARIANT: Registered above; only `drop` unregisters it.
        Ok(Self(counter))
    }

    /// Adds `delta`, or fails with `ERANGE` and changes nothing.
    pub(crate) fn add(&self, delta: i64) -> Result {
        // SAFETY: By the type invariants, the counter is registered.
        to_result(unsafe { bindings::provider_add(self.0, delta) })
    }

    /// Returns the value.
    pub(crate) fn value(&self) -> i64 {
        // SAFETY: By the type invariants, the counter is registered.
        unsafe { bindings::provider_read(self.0) }
    }

    /// Returns how many counters provider keeps for all its users.
    pub(crate) fn registered() -> u32 {
        // SAFETY: It takes no argument and asks for nothing but process context.
        unsafe { bindings::provider_count() }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the counter is registered, and nobody else has it: the
        // pointer never leaves this type.
        unsafe { bindings::provider_unregister(self.0) };
    }
}

/// A counter and its device, whose files all share it.
///
/// Fields are dropped in the order they are declared in: first the device goes, and with it the
/// last way to reach the counter, then the counter. No file can be open by then: the device's
/// `file_operations` name this module as their owner (`MiscdeviceVTable` in
/// `rust/kernel/miscdevice.rs`, 7.3), so an open file keeps it loaded. On 7.2 they do not, and
/// nothing that a module can do keeps it from being removed while its device is open.
///
/// # Invariants
///
/// Every `MiscDeviceRegistration<Device>` is the field `device` of a value of this type, and
/// `counter` is initialized before it and dropped after it.
#[pin_data]
pub(crate) struct Offered {
    #[pin]
    device: MiscDeviceRegistration<Device>,
    counter: Arc<Counter>,
}

impl Offered {
    /// Offers `counter` as the device `name`.
    pub(crate) fn new(name: &'static CStr, counter: Counter) -> impl PinInit<Self, Error> {
        // Initialized the other way round: the device can be opened as soon as it is registered,
        // which is before this function's caller gets to know of it.
        // INVARIANT: `Device` is private, and this is the only place that registers one.
        try_pin_init!(Self {
            counter: Arc::new(counter, GFP_KERNEL)?,
            device <- MiscDeviceRegistration::register(MiscDeviceOptions { name }),
        })
    }

    /// Returns the counter.
    pub(crate) fn counter(&self) -> &Counter {
        &self.counter
    }
}

/// The file operations of the device. An open file holds the counter and nothing else.
struct Device;

#[vtable]
impl MiscDevice for Device {
    type Ptr = Arc<Counter>;

    fn open(_file: &File, device: &MiscDeviceRegistration<Self>) -> Result<Arc<Counter>> {
        let device = core::ptr::from_ref(device).cast_mut();
        // SAFETY: By the type invariants of `Offered`, `device` is its field, and `counter` lives
        // for as long as the device can be opened.
        let counter = unsafe { &(*container_of!(device, Offered, device)).counter };

        Ok(counter.clone())
    }

    fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let text = crate::show(&kiocb.file())?;

        // From the file's position on, so that `cat` finds an end.
        iov.simple_read_from_buffer(kiocb.ki_pos_mut(), text.to_bytes())
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        // A write is one whole number: it is taken or refused, never in part.
        let mut buffer = [0; INPUT_MAX];
        let len = iov.len();
        let input = buffer.get_mut(..len).ok_or(EINVAL)?;
        if iov.copy_from_iter(input) < len {
            return Err(EFAULT);
        }
        // The file's position is a reader's, and stays.
        crate::store(&kiocb.file(), input)?;
        Ok(len)
    }
}

/// The longest input in bytes: three times what any `i64` takes, zeros before it included.
const INPUT_MAX: usize = 64;
