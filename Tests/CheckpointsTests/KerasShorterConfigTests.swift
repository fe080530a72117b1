import Basics
import Testing

@testable import Keras

@Suite struct KerasShorterConfigTests {
  private func shorter(_ text: String) throws -> String { KerasShorterConfig.of(try JSON(parsing: text.utf8)).text() }

  @Test func defaultsAreLeftOut() throws {
    let layer = #"""
      {"class_name":"Conv2D","config":{"name":"c","trainable":true,"dtype":"float32","filters":16,"kernel_size":[3,3],
      "strides":[1,1],"padding":"same","data_format":"channels_last","dilation_rate":[1,1],"groups":1,"activation":"linear",
      "use_bias":true,"kernel_initializer":{"class_name":"GlorotUniform","config":{"seed":null}},"bias_initializer":
      {"class_name":"Zeros","config":{}},"kernel_regularizer":null,"activity_regularizer":null,"kernel_constraint":null}}
      """#
    #expect(
      try shorter(#"{"class_name":"Functional","config":{"name":"m","trainable":true,"layers":[\#(layer)]}}"#)
        == #"{"class_name":"Functional","config":{"name":"m","trainable":true,"layers":[{"class_name":"Conv2D","config":{"name":"c","#
        + #""dtype":"float32","filters":16,"kernel_size":[3,3],"padding":"same","data_format":"channels_last"}}]}}"#)
  }

  /// What differs from a default in one version or class, or is somebody else's, stays.
  @Test(arguments: [
    #"{"class_name":"Conv2D","config":{"trainable":false,"strides":[2,2],"groups":4,"activation":"relu","use_bias":false}}"#,
    #"{"class_name":"Conv2D","config":{"kernel_initializer":{"class_name":"HeNormal","config":{"seed":null}},"bias_initializer":{"class_name":"Ones","config":{}}}}"#,
    #"{"class_name":"Conv2D","config":{"kernel_initializer":{"class_name":"GlorotUniform","config":{"seed":7}},"kernel_regularizer":{"class_name":"L2","config":{"l2":0.1}}}}"#,
    #"{"class_name":"MaxPooling2D","config":{"pool_size":[2,2],"strides":[1,1]}}"#,
    #"{"class_name":"BatchNormalization","config":{"axis":[3],"momentum":0.9,"epsilon":1e-05,"center":false,"scale":false}}"#,
    #"{"class_name":"Activation","config":{"activation":"linear"}}"#,
    #"{"class_name":"MyLayer","config":{"trainable":true,"kernel_regularizer":null}}"#,
    #"{"module":"mine","class_name":"Conv2D","config":{"trainable":true,"groups":1}}"#,
    #"{"module":"keras.layers","class_name":"Conv2D","config":{"trainable":true},"registered_name":"mine>Conv2D"}"#,
    #"{"class_name":"LSTM","config":{"use_bias":true,"trainable":true}}"#,
  ])
  func othersStay(_ text: String) throws { #expect(try shorter(text) == text) }

  @Test func typesHaveTheirNames() throws {
    #expect(
      try shorter(
        #"{"module":"keras.layers","class_name":"ReLU","config":{"dtype":{"module":"keras","class_name":"DTypePolicy","config":{"name":"mixed_float16"}}}}"#
      ) == #"{"module":"keras.layers","class_name":"ReLU","config":{"dtype":"mixed_float16"}}"#)
  }
}
