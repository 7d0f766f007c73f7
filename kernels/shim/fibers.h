// Threads of a block as fibers: one runs at a time, and only a barrier makes it give way.
//
// A block is deterministic, so whatever depends on the order of threads is found by running it in
// several orders. Fibers that wait for each other for ever are reported, not waited for.
#pragma once
#include <link.h>
#include <sys/mman.h>

#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>
#ifdef SHIM_UCONTEXT
#include <ucontext.h>
#endif

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x = 1, y = 1, z = 1; };

namespace shim {

constexpr size_t STACK = 64 << 10;

enum class State : uint8_t { ready, at_block_barrier, at_warp_barrier, done };

// A copy of 16 bytes to shared memory that was asked for and has not landed.
struct Copy { void* to; const void* from; bool real; unsigned group; };

struct Fiber {
  void* stack_pointer;
  uint3 index;
  unsigned number;
  State state;
  std::vector<Copy> copies;
  unsigned group = 0;  // of copies, counted by commits
#ifdef SHIM_UCONTEXT
  ucontext_t context;
#endif
};

// Lanes exchange values through slots; two sets alternate, so that one barrier an exchange will do.
struct Warp {
  alignas(32) unsigned char slots[2][32][32];
  unsigned turn[32];
  unsigned alive = 0, arrived = 0, wanted = 0;
};

struct Block {
  dim3 grid, size;
  uint3 index;
  unsigned alive = 0, arrived = 0;
  Fiber* running = nullptr;
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  std::vector<char> dynamic_shared;
  char* stacks = nullptr;
  size_t stack_count = 0;
  void* scheduler = nullptr;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
#ifdef SHIM_UCONTEXT
  ucontext_t scheduler_context;
#endif
};

// All but `__shared__` arrays are ordinary variables: launches come from one thread.
static Block* block = nullptr;
static thread_local char shared_marker;  // lies among the `__shared__` arrays

// What went wrong, for the caller; the first complaint of a launch counts.
static std::string complaint;
static sigjmp_buf way_out;

[[noreturn]] inline void fail(const std::string& what) {
  if (complaint.empty()) {
    Fiber* f = block ? block->running : nullptr;
    char where[160] = "";
    if (f)
      snprintf(where, sizeof where, " in thread (%u, %u, %u) of block (%u, %u, %u)", f->index.x, f->index.y,
               f->index.z, block->index.x, block->index.y, block->index.z);
    complaint = what + where;
  }
  siglongjmp(way_out, 1);
}

// --- From one stack to another ------------------------------------------------------------------

#if defined(SHIM_UCONTEXT)
inline void to_fiber(Block* b, Fiber* f) { swapcontext(&b->scheduler_context, &f->context); }
inline void to_scheduler(Block* b, Fiber* f) { swapcontext(&f->context, &b->scheduler_context); }
#elif defined(__x86_64__)
extern "C" void shim_switch(void** save, void* load);
__asm__(
    ".text\n.weak shim_switch\n.hidden shim_switch\n.type shim_switch,@function\nshim_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
inline void to_fiber(Block* b, Fiber* f) { shim_switch(&b->scheduler, f->stack_pointer); }
inline void to_scheduler(Block* b, Fiber* f) { shim_switch(&f->stack_pointer, b->scheduler); }
#else
#error "build with -DSHIM_UCONTEXT on this processor"
#endif

inline void fiber_main() {
  block->entry(block->argument);
  Fiber* f = block->running;
  f->state = State::done;
  --block->alive;
  block->warps[f->number / 32].alive &= ~(1u << f->number % 32);
  to_scheduler(block, f);
  __builtin_trap();
}

inline void prepare_stack(Block* b, Fiber& f) {
  char* top = b->stacks + (f.number + 1) * STACK;
#ifdef SHIM_UCONTEXT
  getcontext(&f.context);
  f.context.uc_stack = {top - STACK, 0, STACK};
  f.context.uc_link = nullptr;
  makecontext(&f.context, fiber_main, 0);
#else
  void** sp = (void**)(top - 72);  // 8 modulo 16 at entry, as after a call
  *sp = nullptr;
  *--sp = (void*)fiber_main;
  f.stack_pointer = sp - 6;  // six registers that the switch takes off
#endif
}

// --- Barriers -----------------------------------------------------------------------------------

inline void block_barrier() {
  block->running->state = State::at_block_barrier;
  ++block->arrived;
  to_scheduler(block, block->running);
}

inline void release(Block* b, Warp& w) {
  unsigned first = unsigned(&w - b->warps.data()) * 32;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (w.arrived >> lane & 1) b->fibers[first + lane].state = State::ready;
  w.arrived = 0;
}

inline void warp_barrier(unsigned mask) {
  Fiber* f = block->running;
  Warp& w = block->warps[f->number / 32];
  unsigned lane = f->number % 32;
  if (!(mask >> lane & 1)) fail("a lane is not in the mask it gives");
  f->state = State::at_warp_barrier;
  w.arrived |= 1u << lane;
  w.wanted = mask;
  if ((w.arrived & w.alive) == (mask & w.alive)) return release(block, w);  // the last goes on
  to_scheduler(block, f);
}

// Every lane of the mask gives a value and sees those of all.
template <class T> const unsigned char (*exchange(unsigned mask, const T& value))[32] {
  static_assert(sizeof(T) <= 32, "a slot has 32 bytes");
  Fiber* f = block->running;
  Warp& w = block->warps[f->number / 32];
  unsigned lane = f->number % 32, turn = w.turn[lane]++ & 1;
  memcpy(w.slots[turn][lane], &value, sizeof value);
  warp_barrier(mask);
  return w.slots[turn];
}

// --- A launch -----------------------------------------------------------------------------------

enum Order : unsigned { forward = 0, reversed = 1, shuffled = 2, blocks_permuted = 4 };

inline void shuffle(std::vector<unsigned>& order, uint64_t seed) {
  for (size_t n = order.size(); n > 1; --n) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    std::swap(order[n - 1], order[(seed >> 33) % n]);
  }
}

inline std::vector<unsigned> numbers(unsigned n) {
  std::vector<unsigned> order(n);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

// Where this module's `__shared__` arrays lie (they are thread-local variables of it).
inline std::pair<char*, size_t> static_shared() {
  std::pair<char*, size_t> found{nullptr, 0};
  dl_iterate_phdr(
      [](dl_phdr_info* module, size_t, void* result) {
        for (int k = 0; k < module->dlpi_phnum; ++k) {
          if (module->dlpi_phdr[k].p_type != PT_TLS || !module->dlpi_tls_data) continue;
          char* start = (char*)module->dlpi_tls_data;
          size_t size = module->dlpi_phdr[k].p_memsz;
          if (&shared_marker >= start && &shared_marker < start + size) {
            *(std::pair<char*, size_t>*)result = {start, size};
            return 1;
          }
        }
        return 0;
      },
      &found);
  return found;
}

inline void run_block(Block* b, const std::vector<unsigned>& order) {
  const unsigned n = unsigned(order.size());
  b->alive = n;
  b->arrived = 0;
  for (auto& w : b->warps) {
    w.alive = w.arrived = 0;
    memset(w.turn, 0, sizeof w.turn);
  }
  for (unsigned t = 0; t < n; ++t) {
    Fiber& f = b->fibers[t];
    f.index = {t % b->size.x, t / b->size.x % b->size.y, t / (b->size.x * b->size.y)};
    f.number = t;
    f.state = State::ready;
    f.copies.clear();
    f.group = 0;
    b->warps[t / 32].alive |= 1u << t % 32;
    prepare_stack(b, f);
  }
  while (b->alive) {
    bool moved = false;
    for (unsigned t : order) {
      Fiber& f = b->fibers[t];
      if (f.state != State::ready) continue;
      moved = true;
      b->running = &f;
      to_fiber(b, &f);
    }
    if (b->arrived && b->arrived == b->alive) {  // those that ended no longer count
      for (auto& f : b->fibers)
        if (f.state == State::at_block_barrier) f.state = State::ready;
      b->arrived = 0;
      moved = true;
    }
    if (moved || !b->alive) continue;
    for (auto& w : b->warps)  // lanes that the others waited for have ended
      if (w.arrived && (w.arrived & w.alive) == (w.wanted & w.alive)) release(b, w), moved = true;
    if (!moved) {
      b->running = nullptr;
      fail("deadlock: " + std::to_string(b->alive) + " threads alive, " + std::to_string(b->arrived) +
           " of them at __syncthreads");
    }
  }
  b->running = nullptr;
}

struct Launch { dim3 grid, block; size_t shared; unsigned order, seed; };

template <class Body> void run(const Launch& launch, Body&& body) {
  if (!block) block = new Block;  // its stacks are used again
  Block* b = block;
  const unsigned n = launch.block.x * launch.block.y * launch.block.z;
  const unsigned total = launch.grid.x * launch.grid.y * launch.grid.z;
  b->grid = launch.grid;
  b->size = launch.block;
  b->fibers.resize(n);
  b->warps.resize((n + 31) / 32);
  b->dynamic_shared.resize(launch.shared + 64);
  if (b->stack_count < n) {
    if (b->stacks) munmap(b->stacks, b->stack_count * STACK);
    b->stacks = (char*)mmap(nullptr, n * STACK, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    b->stack_count = n;
  }
  using Entry = std::remove_reference_t<Body>;
  b->entry = [](void* body) { (*(Entry*)body)(); };
  b->argument = (void*)&body;
  auto [shared, shared_size] = static_shared();
  auto threads = numbers(n), blocks = numbers(total);
  if (launch.order & reversed) std::reverse(threads.begin(), threads.end());
  if (launch.order & blocks_permuted) shuffle(blocks, launch.seed + 1);
  for (unsigned i : blocks) {
    if (launch.order & shuffled) shuffle(threads, launch.seed + i);
    b->index = {i % launch.grid.x, i / launch.grid.x % launch.grid.y, i / (launch.grid.x * launch.grid.y)};
    memset(shared, 0xff, shared_size);  // NaN in every `__shared__` array
    memset(b->dynamic_shared.data(), 0xff, b->dynamic_shared.size());
    run_block(b, threads);
  }
}

// A kernel that touches a guard page ends here, on a stack of its own.
inline void on_fault(int, siginfo_t* info, void*) {
  char text[80];
  snprintf(text, sizeof text, "memory outside of every array was touched at %p", info->si_addr);
  fail(text);
}

class FaultHandler {
  struct sigaction segv_, bus_;
  stack_t stack_;
  char* memory_ = new char[SIZE];
  static constexpr size_t SIZE = 64 << 10;

 public:
  FaultHandler() {
    stack_t mine{};
    mine.ss_sp = memory_;
    mine.ss_size = SIZE;
    sigaltstack(&mine, &stack_);
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &segv_);
    sigaction(SIGBUS, &action, &bus_);
  }
  ~FaultHandler() {
    sigaction(SIGSEGV, &segv_, nullptr);
    sigaction(SIGBUS, &bus_, nullptr);
    sigaltstack(&stack_, nullptr);
    delete[] memory_;
  }
};

// Call the kernel with arguments that Python laid out in memory. Returns what went wrong, or null.
template <class... A, size_t... I>
const char* call(void (*kernel)(A...), void** arguments, const Launch& launch, std::index_sequence<I...>) {
  complaint.clear();
  FaultHandler handler;
  auto body = [=] { kernel(*(std::remove_cv_t<std::remove_reference_t<A>>*)arguments[I]...); };
  if (sigsetjmp(way_out, 1) == 0) run(launch, body);
  return complaint.empty() ? nullptr : complaint.c_str();
}

template <class... A>
const char* start(void (*kernel)(A...), const unsigned* grid, const unsigned* size, size_t shared, void** arguments,
                  const int* sizes, int count, unsigned order, unsigned seed) {
  const int wanted[] = {(int)sizeof(A)..., 0};
  bool fits = count == (int)sizeof...(A);
  for (int i = 0; fits && i < count; ++i) fits = wanted[i] == sizes[i];
  if (!fits) {  // what no driver of a card can tell
    std::string& text = complaint = "the kernel takes arguments of these sizes: ";
    for (size_t i = 0; i < sizeof...(A); ++i) text += std::to_string(wanted[i]) + " ";
    text += "and was given ";
    for (int i = 0; i < count; ++i) text += std::to_string(sizes[i]) + " ";
    return text.c_str();
  }
  Launch launch{{grid[0], grid[1], grid[2]}, {size[0], size[1], size[2]}, shared, order, seed};
  return call(kernel, arguments, launch, std::index_sequence_for<A...>{});
}

}  // namespace shim

#define SHIM_EXPORT(symbol, ...)                                                                       \
  extern "C" __attribute__((visibility("default"))) const char* symbol(                                \
      const unsigned* grid, const unsigned* size, size_t shared, void** arguments, const int* sizes,   \
      int count, unsigned order, unsigned seed) {                                                      \
    return shim::start(__VA_ARGS__, grid, size, shared, arguments, sizes, count, order, seed);         \
  }
