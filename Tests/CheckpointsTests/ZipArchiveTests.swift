import HDF5
import NumPy
import TensorCore
import Testing

@testable import ZIP

@Suite struct ZipArchiveTests {
  private static let array = Bytes.numPy("|u1", "(3,)", [7, 8, 9])

  private static func zip(deflated: Bool = false, _ change: (inout ZipBuilder) -> Void = { _ in })
    -> [UInt8]
  {
    var builder = ZipBuilder(array, crc: crc32(array[...]), deflated: deflated)
    change(&builder)
    return builder.bytes
  }

  /// The extra field with 64-bit sizes: contents, compressed contents.
  private static func wideSizes(_ count: UInt64, _ compressedCount: UInt64) -> [UInt8] {
    var extra: [UInt8] = [9, 0, 1, 0, 0, 1, 0, 16, 0]
    extra.appendLittleEndian(count)
    extra.appendLittleEndian(compressedCount)
    return extra
  }

  @Test(arguments: [false, true])
  func readsStoredAndDeflatedMembers(deflated: Bool) throws {
    let arrays = try NumPyArchive.read(Self.zip(deflated: deflated))
    #expect(arrays.map(\.name) == ["inputs"])
    #expect(arrays.first?.bytes == [7, 8, 9])
  }

  @Test func readsWideSizesAndComments() throws {
    let count = UInt64(Self.array.count)
    var file = Self.zip {
      ($0.claimedCount, $0.claimedCompressedCount) = (.max, .max)
      $0.extra = Self.wideSizes(count, count)
    }
    #expect(try NumPyArchive.read(file).first?.bytes == [7, 8, 9])
    file[file.count - 2] = 5
    #expect(try NumPyArchive.read(file + Array("hello".utf8)).count == 1)
  }

  @Test(
    arguments: [
      ("damaged", zip { $0.data[$0.data.count - 1] ^= 1 }, "CRC-32"),
      ("damaged, deflated", zip(deflated: true) { $0.data[$0.data.count - 1] ^= 1 }, "CRC-32"),
      ("encrypted", zip { $0.flags = 1 }, "encrypted"),
      ("another method", zip { $0.method = 12 }, "compression method is 12"),
      ("sizes differ", zip { $0.claimedCount += 1 }, "is damaged"),
      (
        "more than deflate can reach", zip(deflated: true) { $0.claimedCount = 1 << 30 },
        "it claims 1073741824"
      ),
      (
        "data beyond the directory",
        zip {
          $0.claimedCount += 5; $0.claimedCompressedCount += 5
        }, "end before"
      ),
      ("header beyond the directory", zip { $0.headerOffset = 1 << 20 }, "is damaged"),
      ("header elsewhere", zip { $0.headerOffset = 1 }, "not where the directory says"),
      ("directory elsewhere", zip { $0.directoryOffset = 1 << 30 }, "lies outside the file"),
      ("too many members", zip { $0.memberCount = 60000 }, "claims 60000 members"),
      ("the same name twice", zip { $0.memberCount = 2 }, "two members named"),
      (
        "wide sizes are missing",
        zip {
          $0.claimedCount = .max; $0.claimedCompressedCount = .max
        },
        "ZIP64 sizes"
      ),
      (
        "wide sizes overflow",
        zip {
          ($0.claimedCount, $0.claimedCompressedCount) = (.max, .max)
          $0.extra = wideSizes(.max, .max)
        }, "ZIP64 sizes"
      ),
      ("no archive", Array("PK".utf8), "no directory at its end"),
    ] as [(String, [UInt8], String)])
  func refuses(_ defect: String, _ file: [UInt8], _ expected: String) {
    let text = message { _ = try NumPyArchive.read(file) }
    #expect(text.contains(expected), "\(defect): \(text)")
  }

  @Test func membersMayNotShareData() {
    let text = message {
      var two = ZipBuilder(Self.array, crc: 0)
      two.memberCount = 2
      var file = two.bytes
      // Give the second directory entry another name.
      let last = file.indices.last { file[$0...].starts(with: Array("inputs".utf8)) }
      if let last { file[last] = UInt8(ascii: "x") }
      _ = try ZipArchive(file)
    }
    #expect(text.contains("overlaps another member"))
  }
}
