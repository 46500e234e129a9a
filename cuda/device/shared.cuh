/// Shared memory of a block. A kernel takes its arrays from one SharedMemory in order; the launcher asks for as many bytes
/// with SharedSize, by the same calls. In the emulation every access is checked for its place and for races.
///
///   SharedMemory memory;                              SharedSize size;
///   Shared<float> sums = memory.take<float>(8);       size.take<float>(8);
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace lorikeet::cuda {

constexpr size_t kSharedAlign = 16;
/// Bytes that `count` numbers take.
template <class T>
__host__ __device__ constexpr size_t shared_room(int count) { return (static_cast<size_t>(count) * sizeof(T) + kSharedAlign - 1) / kSharedAlign * kSharedAlign; }

struct SharedSize {
  size_t bytes = 0;
  template <class T>
  constexpr SharedSize& take(int count) {
    bytes += shared_room<T>(count);
    return *this;
  }
};

#if defined(__CUDACC__)

template <class T>
class Shared {
 public:
  __device__ explicit Shared(uint32_t at) : at_(at) {}
  __device__ T& operator[](int i) const { return data()[i]; }
  /// From element i on.
  __device__ Shared from(int i) const { return Shared(at_ + static_cast<uint32_t>(i) * static_cast<uint32_t>(sizeof(T))); }
  /// The same bytes as another type, to move several numbers at once.
  template <class U> __device__ Shared<U> as() const { return Shared<U>(at_); }
  /// The address as the instructions for shared memory want it.
  __device__ uint32_t address(int i) const { return static_cast<uint32_t>(__cvta_generic_to_shared(data() + i)); }

 private:
  __device__ T* data() const {
    extern __shared__ __align__(16) unsigned char lorikeet_shared_bytes[];
    return reinterpret_cast<T*>(lorikeet_shared_bytes + at_);
  }
  uint32_t at_;
};

class SharedMemory {
 public:
  template <class T>
  __device__ Shared<T> take(int count) {
    const auto at = static_cast<uint32_t>(used_);
    used_ += shared_room<T>(count);
    return Shared<T>(at);
  }

 private:
  size_t used_ = 0;
};

#else

template <class T>
class Shared {
  /// One element: reading and writing are told apart.
  struct Element {
    size_t at;
    operator T() const {
      emulation::touch_shared(at, sizeof(T), false);
      T v;
      std::memcpy(&v, emulation::shared_memory() + at, sizeof(T));
      return v;
    }
    T operator=(T v) const {
      emulation::touch_shared(at, sizeof(T), true);
      std::memcpy(emulation::shared_memory() + at, &v, sizeof(T));
      return v;
    }
    T operator=(const Element& o) const { return *this = static_cast<T>(o); }
    T operator+=(T v) const { return *this = static_cast<T>(*this) + v; }
    T operator*=(T v) const { return *this = static_cast<T>(*this) * v; }
  };

 public:
  explicit Shared(size_t at) : at_(at) {}
  Element operator[](int i) const { return {place(i)}; }
  Shared from(int i) const { return Shared(place(i)); }
  template <class U> Shared<U> as() const { return Shared<U>(at_); }
  size_t place(int i) const { return at_ + static_cast<size_t>(static_cast<int64_t>(i) * static_cast<int64_t>(sizeof(T))); }

 private:
  size_t at_;
};

class SharedMemory {
 public:
  template <class T>
  Shared<T> take(int count) {
    const size_t at = used_;
    used_ += shared_room<T>(count);
    if (used_ > emulation::shared_memory_bytes()) emulation::fail("it takes more shared memory than it was started with");
    return Shared<T>(at);
  }

 private:
  size_t used_ = 0;
};

#endif

}  // namespace lorikeet::cuda
