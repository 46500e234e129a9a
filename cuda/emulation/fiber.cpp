// Switching stacks: a few instructions on x86-64, since a block of mma.sync switches for each of its instructions; by
// ucontext elsewhere.
#include "cuda/emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace lorikeet::cuda::emulation {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStack = 512u << 10;  // frames are larger by far
#else
constexpr size_t kStack = 128u << 10;
#endif
constexpr size_t kGuard = 4096;

thread_local Fiber* current = nullptr;

/// Tells the address sanitizer which stack is in use.
struct StackSwitch {
  void* fake = nullptr;
  void to([[maybe_unused]] const void* bottom, [[maybe_unused]] size_t size, [[maybe_unused]] bool last = false) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(last ? nullptr : &fake, bottom, size);
#endif
  }
  void back([[maybe_unused]] const void** bottom, [[maybe_unused]] size_t* size) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, bottom, size);
#endif
  }
};

}  // namespace

#if defined(__x86_64__)
// void lorikeet_switch_stack(void** save, void* load): keeps what a call must preserve on this stack, then goes on on the other.
extern "C" void lorikeet_switch_stack(void** save, void* load);
asm(R"(
.text
.globl lorikeet_switch_stack
.type lorikeet_switch_stack,@function
lorikeet_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size lorikeet_switch_stack,.-lorikeet_switch_stack
)");
#endif

struct Fiber::State {
  char* memory = nullptr;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  StackSwitch inner, outer;
  const void* outer_bottom = nullptr;
  size_t outer_size = 0;
#if defined(__x86_64__)
  void *inside = nullptr, *outside = nullptr;  // stack pointers
#else
  ucontext_t inside, outside;
#endif
  char* stack() const { return memory + kGuard; }
};

Fiber::Fiber() : state_(std::make_unique<State>()) {
  void* memory = ::mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  ::mprotect(memory, kGuard, PROT_NONE);
  state_->memory = static_cast<char*>(memory);
}

Fiber::~Fiber() { ::munmap(state_->memory, kGuard + kStack); }

void Fiber::begin() {
  Fiber* self = current;
  self->state_->inner.back(&self->state_->outer_bottom, &self->state_->outer_size);
  self->state_->entry(self->state_->argument);
  std::abort();  // leave() was promised
}

void Fiber::start(void (*entry)(void*), void* argument) {
  State& s = *state_;
  s.entry = entry;
  s.argument = argument;
  s.inner = {};
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(s.stack(), kStack);  // of frames that were left without unwinding, when a kernel failed
#endif
#if defined(__x86_64__)
  // What lorikeet_switch_stack takes from the stack: six registers and the address to go on at, then one word, so that
  // the stack is aligned as after a call.
  auto** top = reinterpret_cast<void**>(s.stack() + kStack) - 8;
  for (int i = 0; i < 6; ++i) top[i] = nullptr;
  top[6] = reinterpret_cast<void*>(&Fiber::begin);
  top[7] = nullptr;
  s.inside = top;
#else
  ::getcontext(&s.inside);
  s.inside.uc_stack.ss_sp = s.stack();
  s.inside.uc_stack.ss_size = kStack;
  s.inside.uc_link = nullptr;
  ::makecontext(&s.inside, &Fiber::begin, 0);
#endif
}

void Fiber::resume() {
  State& s = *state_;
  Fiber* before = current;
  current = this;
  s.outer.to(s.stack(), kStack);
#if defined(__x86_64__)
  lorikeet_switch_stack(&s.outside, s.inside);
#else
  ::swapcontext(&s.outside, &s.inside);
#endif
  s.outer.back(nullptr, nullptr);
  current = before;
}

void Fiber::away(bool last) {
  State& s = *state_;
  s.inner.to(s.outer_bottom, s.outer_size, last);
#if defined(__x86_64__)
  lorikeet_switch_stack(&s.inside, s.outside);
#else
  ::swapcontext(&s.inside, &s.outside);
#endif
  s.inner.back(&s.outer_bottom, &s.outer_size);
}

void Fiber::leave() {
  away(true);
  std::abort();
}

}  // namespace lorikeet::cuda::emulation
